// SPDX-License-Identifier: MIT
/*
 * The NBD server of a guest: serves one block device, opened with O_DIRECT, to the rig. An answer means that the device answered.
 *
 * An emulated guest pays dearly for every system call. So what has come in is taken in one call, however many requests it holds,
 * they are submitted in one call (Linux AIO), and what was completed is answered in one.
 *
 * The data of a request lies in memory that is mapped for it and its neighbours, an arena. What a command that outlived its
 * answer still points to, a queue pair that sends again for instance, shall be what it was to write, and not whatever came next;
 * and it may hold no reference to the pages. So no arena is used twice, and when all in it are answered it is kept, until REST
 * bytes of later ones are kept too. Only then do its pages go back to the kernel, which gives them to anybody.
 *
 * Usage: rig-nbd [-f] DEVICE PORT EXPORT [REST]     -f stays in the foreground; REST in MiB, 32 where it is not given
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ARENA (256 << 10)
#define INPUT (64 << 10)
#define LARGEST (4 << 20)
#define WAKE (32 << 10)
#define DEPTH 1024

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_ZEROES = 6 };
enum { FLAG_FUA = 1, FLAG_NO_HOLE = 2 };
/* Has flags, flush, FUA, trim, write zeroes, several connections. */
#define EXPORT_FLAGS 0x16d

struct arena {
	char *memory;
	size_t size, used;
	int users;
	int current;
	struct arena *next;
};

struct connection {
	int fd, closed, users, buried;
	size_t length;
	struct request *partial;
	size_t got;
	int wake;
	struct connection *next;
	char input[INPUT];
};

struct request {
	struct iocb iocb;
	struct connection *connection;
	struct arena *arena;
	uint64_t cookie, offset;
	uint32_t length;
	uint16_t flags, command;
	char *data;
	int error;
	struct request *next;
};

static int disk, events, poller;
static uint64_t disk_size;
static const char *export_name;
static aio_context_t aio;
static struct arena *arena;
/* Arenas that are over, the oldest first. */
static struct arena *resting, **resting_end = &resting;
static size_t resting_bytes, rest_bytes = 32 << 20;
static struct connection *graves;
/* To be submitted; and how many the kernel has, and whether it takes no more until some of these are done. */
static struct iocb **batch;
static int batched, room, flying, refused;
/* What threads have done, to be answered by the main one. */
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static struct request *done;

static void die(const char *what)
{
	fprintf(stderr, "rig-nbd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint16_t be16(const void *at) { uint16_t v; memcpy(&v, at, 2); return __builtin_bswap16(v); }
static uint32_t be32(const void *at) { uint32_t v; memcpy(&v, at, 4); return __builtin_bswap32(v); }
static uint64_t be64(const void *at) { uint64_t v; memcpy(&v, at, 8); return __builtin_bswap64(v); }
static void put16(void *at, uint16_t v) { v = __builtin_bswap16(v); memcpy(at, &v, 2); }
static void put32(void *at, uint32_t v) { v = __builtin_bswap32(v); memcpy(at, &v, 4); }
static void put64(void *at, uint64_t v) { v = __builtin_bswap64(v); memcpy(at, &v, 8); }

static void arena_put(struct arena *a)
{
	if (a->users || a->current)
		return;
	a->next = NULL;
	*resting_end = a;
	resting_end = &a->next;
	resting_bytes += a->size;
	while (resting && resting_bytes - resting->size >= rest_bytes) {
		struct arena *old = resting;
		resting = old->next;
		if (!resting)
			resting_end = &resting;
		resting_bytes -= old->size;
		munmap(old->memory, old->size);
		free(old);
	}
}

static char *data_take(struct request *request, size_t bytes)
{
	bytes = (bytes + 4095) & ~4095ul;
	if (!arena || arena->used + bytes > arena->size) {
		struct arena *old = arena;
		arena = calloc(1, sizeof(*arena));
		arena->size = bytes > ARENA ? bytes : ARENA;
		arena->memory = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (arena->memory == MAP_FAILED)
			die("no memory");
		arena->current = 1;
		if (old) {
			old->current = 0;
			arena_put(old);
		}
	}
	request->arena = arena;
	arena->users++;
	arena->used += bytes;
	return arena->memory + arena->used - bytes;
}

/* Freed only when the events that were read with its last one have been looked at. */
static void connection_put(struct connection *c)
{
	if (!c->closed || c->users || c->buried)
		return;
	c->buried = 1;
	c->next = graves;
	graves = c;
}

static void connection_close(struct connection *c)
{
	if (c->closed)
		return;
	c->closed = 1;
	epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
	shutdown(c->fd, SHUT_RDWR);
	if (c->partial) {
		struct request *r = c->partial;
		c->partial = NULL;
		c->users--;
		if (r->arena) {
			r->arena->users--;
			arena_put(r->arena);
		}
		free(r);
	}
}

static void send_all(struct connection *c, struct iovec *parts, int count)
{
	while (count && !c->closed) {
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
		ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno == EINTR)
				continue;
			connection_close(c);
			return;
		}
		while (count && sent >= (ssize_t)parts->iov_len) {
			sent -= parts->iov_len;
			parts++;
			count--;
		}
		if (count) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= sent;
		}
	}
}

/* NBD's numbers are Linux's for those that it knows. */
static uint32_t nbd_error(int error)
{
	switch (error) {
	case 0: case EPERM: case EIO: case ENOMEM: case EINVAL: case ENOSPC: case EOVERFLOW: case EOPNOTSUPP: case ESHUTDOWN:
		return error;
	default:
		return EIO;
	}
}

/* Answers requests that are done; those of one connection that follow each other in one call. */
static void answer(struct request **list, int count)
{
	static char heads[DEPTH][16];
	static struct iovec parts[2 * DEPTH];
	for (int from = 0; from < count;) {
		struct connection *c = list[from]->connection;
		int used = 0, to = from;
		for (; to < count && list[to]->connection == c; to++) {
			struct request *r = list[to];
			put32(heads[to], 0x67446698);
			put32(heads[to] + 4, nbd_error(r->error));
			put64(heads[to] + 8, r->cookie);
			parts[used++] = (struct iovec){ heads[to], 16 };
			if (r->command == CMD_READ && !r->error)
				parts[used++] = (struct iovec){ r->data, r->length };
		}
		for (int at = 0; at < used; at += 1000)
			send_all(c, parts + at, used - at > 1000 ? 1000 : used - at);
		for (; from < to; from++) {
			struct request *r = list[from];
			c->users--;
			if (r->arena) {
				r->arena->users--;
				arena_put(r->arena);
			}
			free(r);
		}
		connection_put(c);
	}
}

static void answer_one(struct request *request, int error)
{
	request->error = error;
	answer(&request, 1);
}

static void submit(void)
{
	int from = 0;
	while (from < batched && !refused) {
		long took = syscall(SYS_io_submit, aio, batched - from, batch + from);
		if (took > 0) {
			from += took;
			flying += took;
			continue;
		}
		/* No room for more: wait for the end of others. Where there are none, nothing would end the waiting. */
		if (took < 0 && errno == EAGAIN && flying) {
			refused = 1;
			break;
		}
		answer_one((struct request *)(uintptr_t)batch[from++]->aio_data, took < 0 ? errno : EIO);
	}
	batched -= from;
	memmove(batch, batch + from, batched * sizeof(*batch));
}

/* Discards and zeroes have no asynchronous call: each has a thread of its own while it lasts. */
static void *slow(void *argument)
{
	struct request *r = argument;
	uint64_t range[2] = { r->offset, r->length };
	int failed;
	if (r->command == CMD_TRIM)
		failed = ioctl(disk, BLKDISCARD, range);
	else if (r->flags & FLAG_NO_HOLE)
		failed = ioctl(disk, BLKZEROOUT, range);
	else
		failed = fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r->offset, r->length) && ioctl(disk, BLKZEROOUT, range);
	if (!failed && (r->flags & FLAG_FUA))
		failed = fdatasync(disk);
	r->error = failed ? errno : 0;
	pthread_mutex_lock(&done_lock);
	r->next = done;
	done = r;
	pthread_mutex_unlock(&done_lock);
	uint64_t one = 1;
	if (write(events, &one, 8) != 8)
		die("eventfd");
	return NULL;
}

static void start(struct request *r)
{
	struct iocb *iocb = &r->iocb;
	pthread_t thread;
	if (r->command == CMD_TRIM || r->command == CMD_ZEROES) {
		if (pthread_create(&thread, NULL, slow, r))
			answer_one(r, ENOMEM);
		else
			pthread_detach(thread);
		return;
	}
	iocb->aio_data = (uintptr_t)r;
	iocb->aio_fildes = disk;
	iocb->aio_flags = IOCB_FLAG_RESFD;
	iocb->aio_resfd = events;
	iocb->aio_lio_opcode = r->command == CMD_FLUSH ? IOCB_CMD_FDSYNC : r->command == CMD_READ ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	if (r->command != CMD_FLUSH) {
		iocb->aio_buf = (uintptr_t)r->data;
		iocb->aio_nbytes = r->length;
		iocb->aio_offset = r->offset;
		if (r->flags & FLAG_FUA)
			iocb->aio_rw_flags = RWF_DSYNC;
	}
	if (batched == room) {
		room = room ? 2 * room : DEPTH;
		batch = realloc(batch, room * sizeof(*batch));
		if (!batch)
			die("no memory");
	}
	batch[batched++] = iocb;
	if (batched >= DEPTH)
		submit();
}

/* With much of a request missing, its packets need not wake anybody one by one. Far below any window, so that it comes. */
static void wake_at(struct connection *c)
{
	size_t missing = c->partial ? c->partial->length - c->got : 0;
	int wake = missing >= WAKE ? WAKE : missing > 1 ? (int)missing : 1;
	if (c->closed || wake == c->wake)
		return;
	c->wake = wake;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &wake, sizeof(wake));
}

/* Takes what has come: the rest of a request's data where it belongs, the beginning of others into the buffer. */
static void receive(struct connection *c)
{
	for (;;) {
		struct iovec parts[2];
		int count = 0;
		size_t missing = c->partial ? c->partial->length - c->got : 0;
		if (missing)
			parts[count++] = (struct iovec){ c->partial->data + c->got, missing };
		parts[count++] = (struct iovec){ c->input + c->length, INPUT - c->length };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
		ssize_t got = recvmsg(c->fd, &message, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			connection_close(c);
			return;
		}
		int full = (size_t)got == missing + INPUT - c->length;
		size_t data = (size_t)got < missing ? (size_t)got : missing;
		c->got += data;
		c->length += got - data;
		if (c->partial && c->got == c->partial->length) {
			/* To start it may end the connection, and that frees what is still partial. */
			struct request *whole = c->partial;
			c->partial = NULL;
			start(whole);
			if (c->closed)
				return;
		}
		size_t at = 0;
		while (!c->partial && c->length - at >= 28) {
			const char *head = c->input + at;
			struct request *r = calloc(1, sizeof(*r));
			at += 28;
			r->connection = c;
			r->flags = be16(head + 4);
			r->command = be16(head + 6);
			r->cookie = be64(head + 8);
			r->offset = be64(head + 16);
			r->length = be32(head + 24);
			int reads = r->command == CMD_READ, writes = r->command == CMD_WRITE;
			if (be32(head) != 0x25609513 || r->command == CMD_DISC || ((reads || writes) && r->length > LARGEST)) {
				free(r);
				connection_close(c);
				return;
			}
			c->users++;
			if ((reads || writes) && r->length)
				r->data = data_take(r, r->length);
			if (writes) {
				size_t there = c->length - at < r->length ? c->length - at : r->length;
				memcpy(r->data, c->input + at, there);
				at += there;
				if (there < r->length) {
					c->partial = r;
					c->got = there;
					break;
				}
			}
			if (r->command > CMD_ZEROES || r->command == 5)
				answer_one(r, EINVAL);
			else if (r->command != CMD_FLUSH && (r->offset % 512 || r->length % 512 || !r->length || r->offset + r->length > disk_size))
				answer_one(r, EINVAL);
			else
				start(r);
			if (c->closed)
				return;
		}
		memmove(c->input, c->input + at, c->length - at);
		c->length -= at;
		if (!full)
			return;
	}
}

static void complete(void)
{
	struct io_event ended[256];
	struct request *list[256];
	uint64_t count;
	if (read(events, &count, 8) < 0 && errno != EAGAIN)
		die("eventfd");
	for (;;) {
		struct timespec none = { 0, 0 };
		int got = syscall(SYS_io_getevents, aio, 0, 256, ended, &none);
		for (int i = 0; i < got; i++) {
			struct request *r = (struct request *)(uintptr_t)ended[i].data;
			int64_t result = ended[i].res;
			r->error = result < 0 ? -result : r->command != CMD_FLUSH && result != r->length ? EIO : 0;
			list[i] = r;
		}
		if (got > 0) {
			flying -= got;
			refused = 0;
			answer(list, got);
		}
		if (got < 256)
			break;
	}
	pthread_mutex_lock(&done_lock);
	struct request *finished = done;
	done = NULL;
	pthread_mutex_unlock(&done_lock);
	while (finished) {
		struct request *next = finished->next;
		answer(&finished, 1);
		finished = next;
	}
}

static int read_all(int fd, void *to, size_t bytes)
{
	return recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static int reply_option(int fd, uint32_t option, uint32_t type, const void *data, uint32_t bytes)
{
	char head[20 + 32];
	put64(head, 0x0003e889045565a9);
	put32(head + 8, option);
	put32(head + 12, type);
	put32(head + 16, bytes);
	memcpy(head + 20, data, bytes);
	return send(fd, head, 20 + bytes, MSG_NOSIGNAL) == 20 + (ssize_t)bytes;
}

/* Fixed newstyle, and only the option GO. */
static int negotiate(int fd)
{
	char hello[18] = "NBDMAGICIHAVEOPT", head[16], body[4200], info[14];
	struct timeval limit = { 10, 0 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	put16(hello + 16, 3);
	if (send(fd, hello, 18, MSG_NOSIGNAL) != 18 || !read_all(fd, head, 4))
		return 0;
	for (;;) {
		if (!read_all(fd, head, 16) || be64(head) != 0x49484156454f5054)
			return 0;
		uint32_t option = be32(head + 8), bytes = be32(head + 12);
		if (bytes > sizeof(body) || (bytes && !read_all(fd, body, bytes)))
			return 0;
		if (option == 2)
			return 0;
		if (option != 7) {
			if (!reply_option(fd, option, 0x80000001, "", 0))
				return 0;
			continue;
		}
		uint32_t length = bytes >= 4 ? be32(body) : 0;
		if (bytes < 6 || length > bytes - 6 || length != strlen(export_name) || memcmp(body + 4, export_name, length)) {
			if (!reply_option(fd, option, 0x80000006, "", 0))
				return 0;
			continue;
		}
		put16(info, 3);
		put32(info + 2, 512);
		put32(info + 6, 4096);
		put32(info + 10, LARGEST);
		if (!reply_option(fd, option, 3, info, 14))
			return 0;
		put16(info, 0);
		put64(info + 2, disk_size);
		put16(info + 10, EXPORT_FLAGS);
		return reply_option(fd, option, 3, info, 12) && reply_option(fd, option, 1, "", 0);
	}
}

/*
 * Goes on in the background. Whoever started the server waits until it is ready, or hears why it is not: what follows the fork
 * cannot come before it, for a context of AIO belongs to the process that made it. Returns where to tell that it is ready.
 */
static int detach(void)
{
	int ends[2];
	char ready;
	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child) {
		close(ends[1]);
		_exit(read(ends[0], &ready, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	setsid();
	return ends[1];
}

/* Standard error is the starter's until now, for what may go wrong. */
static void tell_ready(int starter)
{
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || chdir("/"))
		die("/dev/null");
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(starter, "", 1) != 1)
		exit(1);
	close(starter);
}

int main(int argc, char **argv)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct epoll_event event;
	int one = 1, stay = argc > 1 && !strcmp(argv[1], "-f");
	argv += stay;
	argc -= stay;
	if (argc != 4 && argc != 5)
		return 2;
	export_name = argv[3];
	if (argc == 5)
		rest_bytes = (size_t)atoi(argv[4]) << 20;
	any.sin_port = htons(atoi(argv[2]));
	disk = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	off_t size = disk < 0 ? -1 : lseek(disk, 0, SEEK_END);
	if (size < 0)
		die(argv[1]);
	disk_size = size;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 16))
		die("listen");
	int starter = stay ? -1 : detach();
	events = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (events < 0 || poller < 0 || syscall(SYS_io_setup, DEPTH, &aio))
		die("set-up");
	if (!stay)
		tell_ready(starter);
	event = (struct epoll_event){ .events = EPOLLIN, .data.ptr = &listener };
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	event = (struct epoll_event){ .events = EPOLLIN, .data.ptr = &events };
	epoll_ctl(poller, EPOLL_CTL_ADD, events, &event);
	for (;;) {
		struct epoll_event ready[16];
		int count = epoll_wait(poller, ready, 16, -1);
		for (int i = 0; i < count; i++) {
			void *what = ready[i].data.ptr;
			if (what == &events) {
				complete();
			} else if (what == &listener) {
				int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
				if (fd < 0)
					continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				struct connection *c = negotiate(fd) ? calloc(1, sizeof(*c)) : NULL;
				if (!c) {
					close(fd);
					continue;
				}
				c->fd = fd;
				event = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c };
				epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
			} else {
				struct connection *c = what;
				if (c->closed)
					continue;
				c->users++;
				receive(c);
				wake_at(c);
				c->users--;
				connection_put(c);
			}
		}
		submit();
		while (graves) {
			struct connection *c = graves;
			graves = c->next;
			close(c->fd);
			free(c);
		}
	}
}
