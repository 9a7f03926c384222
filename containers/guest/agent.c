// SPDX-License-Identifier: MIT
/*
 * The rig's hands and eyes in a guest. It answers on a virtio-serial port, so it needs no network and no handshake; it
 * runs when a snapshot is taken and so answers at once in every lab that is restored from it.
 *
 * The rig says lines of "ID VERB [ARG...]", parted by single blanks; what is not plain in an argument is %XX, and an
 * empty one is "%". The answer is "ID ok [TEXT]" or "ID fail TEXT"; to what cannot be read, "0 fail TEXT".
 *
 *   hello                      version of this protocol, and of the kernel
 *   clock SECONDS NANOSECONDS  sets the wall clock
 *   entropy HEX                adds to the kernel's random numbers
 *   random BYTES               takes of them
 *   write MODE PATH HEX        makes or replaces a file, and the directories above it
 *   remove PATH
 *   spawn ARGV...              starts a program that nobody waits for; answers with its pid
 *   kill SIGNAL NAME           answers with how many processes had the name; after SIGKILL they are gone
 *   sync
 *   time                       answers with the monotonic clock, in nanoseconds
 *   put PATH HEX               writes to a file that is there, in one piece: for the kernel's own files; empties it where
 *                              there is nothing to write
 *   take PATH                  opens a file and answers with its first bytes, in base64
 *   more                       answers with the next ones; with nothing when there are no more
 *   list PATTERN...            what is there of these paths, where *, ? and [] stand for any name
 *   watch INTERVAL_MS DM_NAMES reports what changes, until; the names of device-mapper devices are parted by commas
 *   unwatch
 *
 * The watch's lines begin with "! ", one a change:
 *
 *   session SID ADDRESS STATE DEVICE              iscsi_session in sysfs, and the state of its SCSI device; of several
 *                                                 LUNs, of the first that is not running
 *   socket LOCAL REMOTE STATE SENDQ RECVQ ORPHAN  TCP sockets to or from an iSCSI port, from /proc/net/tcp
 *   qp DEVICE NUMBER PEER STATE SENT RECEIVED     reliable queue pairs of RDMA devices; the last two are the next packet
 *                                                 sequence numbers to be sent and to be received
 *   dm NAME STATUS...                             status line of a device-mapper device
 *   daemon NAME COUNT                             number of processes of that name
 *   syslog PROGRAM TEXT                           what a daemon wrote to syslog: the agent is /dev/log
 *   late MS                                       the guest was given no CPU when it was time to look
 *
 * Instead of a value, GONE says that the thing left. "ready" follows the first look.
 *
 * The kernel offers no one event source for these, so the watch asks every few milliseconds. Without hardware
 * virtualisation each system call costs microseconds and each path lookup ten times that: it keeps files open and reads
 * them again, and looks for new things less often than at known ones.
 *
 * Usage: agent                 on the port named rig.agent
 *        agent --stdio [SYS [LOG]]   on its standard streams, with other places for /sys and /dev/log; for tests
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/dm-ioctl.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <poll.h>
#include <rdma/rdma_netlink.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME "rig.agent"

enum {
	PROTOCOL = 1,
	MAX_LINE = 65536,
	MAX_ARGS = 64,
	MAX_RANDOM = 256,
	/* Bytes that go into one answer: whole pages, and in base64 a line that is short enough. */
	MAX_TAKE = 11 * 4096,
	DRAIN_MS = 2000,
	MAX_THINGS = 512,
	MAX_SESSIONS = 64,
	MAX_LUNS = 8,
	MAX_DEVICES = 8,
	MAX_MAPS = 8,
	MAX_PROCESSES = 32,
	/* Looks from one search for new sessions, processes and device-mapper devices to the next. */
	SEARCH_EVERY = 5,
	KILL_MS = 2000,
	LATE_MS = 100,
	KEY = 128,
	VALUE = 512,
	RAW = 49,
	TEXT = 1024,
};

static const char *sys = "/sys";
static int from_rig = 0, to_rig = 1, on_port;

/* ---- Small things ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* The whole of `text` as a number of at most `max`. */
static int parse_number(const char *text, int base, long max, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, base);
	return text[0] < '0' || text[0] > '9' || *end || errno || *number > max ? -1 : 0;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits as a byte, or -1. */
static int hex_byte(const char *text)
{
	int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

	return low < 0 ? -1 : high * 16 + low;
}

static unsigned hex_number(const char *text, int digits)
{
	unsigned number = 0;

	while (digits-- > 0)
		number = number * 16 + hex_digit(*text++);
	return number;
}

/* Hexadecimal digits as bytes, in place; how many, or -1. */
static long decode_hex(char *text)
{
	unsigned char *to = (unsigned char *)text;
	long length = 0;

	for (; *text; text += 2) {
		int byte = hex_byte(text);

		if (byte < 0)
			return -1;
		to[length++] = byte;
	}
	return length;
}

/* An argument as it was meant, in place. No argument can hold a NUL: every one becomes a C string. */
static int decode_argument(char *text)
{
	char *to = text;

	if (!strcmp(text, "%"))
		text++;
	while (*text) {
		int byte = *text == '%' ? hex_byte(text + 1) : (unsigned char)*text;

		if (byte <= 0)
			return -1;
		text += *text == '%' ? 3 : 1;
		*to++ = byte;
	}
	*to = 0;
	return 0;
}

static void encode_argument(const char *text, char *to)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:=,+-";

	for (; *text; text++)
		if (strchr(plain, *text))
			*to++ = *text;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*text);
	*to = 0;
}

/* The first line of an open file of the kernel's, from its beginning; -1 if there is none. */
static int read_line(int fd, char *out, size_t size)
{
	ssize_t got = pread(fd, out, size - 1, 0);

	out[got < 0 ? 0 : got] = 0;
	out[strcspn(out, "\n")] = 0;
	return got <= 0 ? -1 : 0;
}

static int open_file(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int open_file(const char *format, ...)
{
	char path[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The first line of a file that is read once. */
static int read_file(int fd, char *out, size_t size)
{
	int result = fd < 0 ? -1 : read_line(fd, out, size);

	if (fd >= 0)
		close(fd);
	return result;
}

/* The first entry of `dir` that begins with `prefix`. */
static int first_entry(const char *dir, const char *prefix, char *out, size_t size)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;
	int found = -1;

	while (handle && found && (entry = readdir(handle)))
		if (entry->d_name[0] != '.' && !strncmp(entry->d_name, prefix, strlen(prefix)))
			found = snprintf(out, size, "%s", entry->d_name) < (int)size ? 0 : -1;
	if (handle)
		closedir(handle);
	return found;
}

/* ---- What goes to the rig ---- */

static char output[2 * MAX_LINE];
static size_t output_used;

/* A line for the rig. One for which there is no room is dropped: nobody reads, and the guest must not wait for that. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	size_t room = sizeof(output) - output_used;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(output + output_used, room, format, args);
	va_end(args);
	if (length < 0 || (size_t)length + 1 > room)
		return;
	output_used += length;
	output[output_used++] = '\n';
}

/* Writes what the other side takes now. The rest waits for the port, unless there is no other side. */
static void flush(void)
{
	size_t done = 0;
	ssize_t put = 1;

	while (done < output_used && (put = write(to_rig, output + done, output_used - done)) > 0)
		done += put;
	if (put == 0 || (put < 0 && errno != EAGAIN && errno != EINTR))
		done = output_used;
	output_used -= done;
	memmove(output, output + done, output_used);
}

/* ---- Processes ---- */

struct process {
	char name[64], state;
	int is_kernel_thread;
};

static int read_process(int pid, struct process *process)
{
	char line[512], *name, *end;
	unsigned flags;

	/* "PID (NAME) STATE PARENT GROUP SESSION TERMINAL FOREGROUND FLAGS ..."; a name may hold parentheses. */
	if (read_file(open_file("/proc/%d/stat", pid), line, sizeof(line)))
		return -1;
	name = strchr(line, '(');
	end = strrchr(line, ')');
	if (!name || !end || sscanf(end + 1, " %c %*d %*d %*d %*d %*d %u", &process->state, &flags) != 2)
		return -1;
	*end = 0;
	snprintf(process->name, sizeof(process->name), "%s", name + 1);
	process->is_kernel_thread = !!(flags & 0x00200000); /* PF_KTHREAD, include/linux/sched.h */
	return 0;
}

/* A zombie is gone: it does nothing any more, and only waits for somebody to read its end. */
static int is_gone(const struct process *process)
{
	return process->state == 'Z' || process->state == 'X';
}

/* The processes of this name, but for this one. Most of a guest's are kernel threads: those are looked at once. */
static int find_processes(const char *name, pid_t *found)
{
	static unsigned kernel_thread[32768], search = 1;
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int self = getpid(), count = 0;

	search++;
	while (dir && count < MAX_PROCESSES && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name);
		unsigned *last_seen = pid > 0 && pid < 32768 ? &kernel_thread[pid] : NULL;
		struct process process;

		if (pid <= 0 || pid == self)
			continue;
		if (last_seen && *last_seen == search - 1) {
			*last_seen = search;
			continue;
		}
		if (read_process(pid, &process))
			continue;
		if (process.is_kernel_thread && last_seen)
			*last_seen = search;
		/* The kernel keeps 15 characters of a name. */
		if (!process.is_kernel_thread && !is_gone(&process) && !strncmp(process.name, name, 15))
			found[count++] = pid;
	}
	if (dir)
		closedir(dir);
	return count;
}

static int open_process(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* Whether the process is gone by `until`. Without pidfds (before 5.3) it has to be asked for. */
static int await_end(pid_t pid, int fd, int64_t until)
{
	struct pollfd end = {fd, POLLIN, 0};
	struct process process;

	for (;;) {
		int64_t left_ms = (until - now_ns()) / 1000000;

		if (fd >= 0)
			return poll(&end, 1, left_ms > 0 ? left_ms : 0) == 1;
		if (read_process(pid, &process) || is_gone(&process))
			return 1;
		if (left_ms <= 0)
			return 0;
		usleep(5000);
	}
}

/* ---- The watch ---- */

struct thing {
	char key[KEY], value[VALUE];
	/* A socket as the kernel prints it. */
	char raw[RAW];
	int seen;
};

static struct thing things[MAX_THINGS];
static int thing_count;

static struct {
	int on, map_count;
	unsigned look;
	int64_t interval, due;
	struct map {
		int is_there;
		/* "dm NAME" */
		char key[KEY];
	} maps[MAX_MAPS];
} watch;

/* Says "KEY VALUE" if the value is not the one last said for this key. */
static struct thing *report(const char *key, const char *value)
{
	struct thing *thing = NULL;

	for (int i = 0; i < thing_count && !thing; i++)
		if (!strcmp(things[i].key, key))
			thing = &things[i];
	if (!thing) {
		if (thing_count == MAX_THINGS)
			return NULL;
		thing = &things[thing_count++];
		memset(thing, 0, sizeof(*thing));
		snprintf(thing->key, KEY, "%s", key);
	}
	thing->seen = 1;
	if (strcmp(thing->value, value)) {
		snprintf(thing->value, VALUE, "%s", value);
		say("! %s %s", key, value);
	}
	return thing;
}

/* What was there at the last look and is not now. */
static void report_gone(void)
{
	for (int i = 0; i < thing_count;) {
		if (things[i].seen) {
			things[i++].seen = 0;
			continue;
		}
		say("! %s GONE", things[i].key);
		things[i] = things[--thing_count];
	}
}

struct session {
	int sid, state, has_address, luns[MAX_LUNS], lun_count;
	char key[KEY];
};

static struct session sessions[MAX_SESSIONS];
static int session_count;

static void close_luns(struct session *session)
{
	while (session->lun_count > 0)
		close(session->luns[--session->lun_count]);
}

static void close_session(struct session *session)
{
	close(session->state);
	close_luns(session);
	*session = sessions[--session_count];
}

static void find_sessions(void)
{
	char path[300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/class/iscsi_session", sys);
	dir = opendir(path);
	while (dir && session_count < MAX_SESSIONS && (entry = readdir(dir))) {
		struct session *next = &sessions[session_count];
		int known = 0;

		if (sscanf(entry->d_name, "session%d", &next->sid) != 1)
			continue;
		for (int i = 0; i < session_count; i++)
			known |= sessions[i].sid == next->sid;
		if (known)
			continue;
		next->state = open_file("%s/class/iscsi_session/session%d/state", sys, next->sid);
		next->lun_count = 0;
		next->has_address = 0;
		session_count += next->state >= 0;
	}
	if (dir)
		closedir(dir);
}

/* The most SCSI devices that a session was seen to have: of a new session they come one after another. */
static int most_luns;

/* The states of the session's SCSI devices: target0:0:0/0:0:0:LUN/state below the session's own device. */
static void open_luns(struct session *session)
{
	char path[600], target[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/class/iscsi_session/session%d/device", sys, session->sid);
	if (first_entry(path, "target", target, sizeof(target)))
		return;
	snprintf(path, sizeof(path), "%s/class/iscsi_session/session%d/device/%s", sys, session->sid, target);
	dir = opendir(path);
	while (dir && session->lun_count < MAX_LUNS && (entry = readdir(dir))) {
		const char *address = target + strlen("target");
		int lun = strncmp(entry->d_name, address, strlen(address))
				  ? -1
				  : open_file("%s/%s/state", path, entry->d_name);

		if (lun >= 0)
			session->luns[session->lun_count++] = lun;
	}
	if (dir)
		closedir(dir);
	if (session->lun_count > most_luns)
		most_luns = session->lun_count;
}

/* The state of the session's SCSI devices, empty if there are none; -1 if one of them left. */
static int read_luns(const struct session *session, char *out, size_t size)
{
	char state[64];

	out[0] = 0;
	for (int i = 0; i < session->lun_count; i++) {
		if (read_line(session->luns[i], state, sizeof(state)))
			return -1;
		if (!out[0] || !strcmp(out, "running"))
			snprintf(out, size, "%s", state);
	}
	return 0;
}

/* A session has no address before its connection is bound; until then the kernel says "(null)". */
static void find_address(struct session *session)
{
	int fd = open_file("%s/class/iscsi_connection/connection%d:0/persistent_address", sys, session->sid);
	char address[64];

	if (read_file(fd, address, sizeof(address)) || !address[0])
		strcpy(address, "-");
	session->has_address = address[0] >= '0' && address[0] <= '9';
	snprintf(session->key, KEY, "session %d %s", session->sid, address);
}

static void look_at_sessions(int search)
{
	int searched = search;

	if (search)
		find_sessions();
	for (int i = 0; i < session_count; i++) {
		struct session *session = &sessions[i];
		char state[64], device[64] = "", value[VALUE];

		/* An attribute whose session left answers with an error. Another session may have come in its place. */
		if (read_line(session->state, state, sizeof(state))) {
			close_session(&sessions[i--]);
			if (!searched)
				find_sessions();
			searched = 1;
			continue;
		}
		if (!session->has_address)
			find_address(session);
		if (read_luns(session, device, sizeof(device)))
			close_luns(session);
		if (session->lun_count == 0 || (search && session->lun_count < most_luns)) {
			close_luns(session);
			open_luns(session);
			read_luns(session, device, sizeof(device));
		}
		stpcpy(stpcpy(stpcpy(value, state), " "), device[0] ? device : "-");
		report(session->key, value);
	}
}

static const char *const tcp_states[] = {
	"?", "ESTABLISHED", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
	"TIME-WAIT", "CLOSE", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
};

enum { ESTABLISHED = 1, LISTEN = 10 };

/* Columns of a line of /proc/net/tcp, from the first address on (get_tcp4_sock of net/ipv4/tcp_ipv4.c). */
enum { LOCAL = 0, REMOTE = 14, PORT = 9, STATE = 28, SENDQ = 31, RECVQ = 40, TIMER = 49 };

/* Ports 3260 and 3261. */
static int is_iscsi_port(const char *text)
{
	return !memcmp(text, "0CBC", 4) || !memcmp(text, "0CBD", 4);
}

/* "ADDRESS:PORT" of an end; the kernel prints an address as the number that its bytes are in memory. */
static void format_end(const char *text, char *out, size_t size)
{
	unsigned address = hex_number(text, 8);
	unsigned char *byte = (unsigned char *)&address;

	snprintf(out, size, "%u.%u.%u.%u:%u", byte[0], byte[1], byte[2], byte[3], hex_number(text + PORT, 4));
}

static void report_socket(const char *line)
{
	char raw[RAW], key[KEY], value[VALUE], local[32], remote[32];
	unsigned state = hex_number(line + STATE, 2);
	struct thing *thing;

	if (state > 11 || state == LISTEN)
		return;
	memcpy(raw, line, RAW - 1);
	/* Behind the timer come retransmissions, user, timeout and inode, parted by one or more blanks. */
	line += TIMER;
	for (int field = 0; field < 4; field++) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	/* A closed socket has no inode: nobody in user space or in the initiator owns it any more. */
	raw[RAW - 1] = line[0] == '0';
	if (state == ESTABLISHED && !raw[RAW - 1])
		memset(raw + SENDQ, '0', 8);
	/* Words take longer than all the rest: what is as it was needs none. */
	for (int i = 0; i < thing_count; i++)
		if (!memcmp(things[i].raw, raw, RAW)) {
			things[i].seen = 1;
			return;
		}
	format_end(raw + LOCAL, local, sizeof(local));
	format_end(raw + REMOTE, remote, sizeof(remote));
	snprintf(key, sizeof(key), "socket %s %s", local, remote);
	snprintf(value, sizeof(value), "%s %u %u %d", tcp_states[state], hex_number(raw + SENDQ, 8),
		 hex_number(raw + RECVQ, 8), raw[RAW - 1]);
	thing = report(key, value);
	if (thing)
		memcpy(thing->raw, raw, RAW);
}

static void look_at_sockets(void)
{
	static char text[65536];
	static int fd = -1;
	size_t used = 0;
	ssize_t got;

	if (fd < 0 && (fd = open_file("/proc/net/tcp")) < 0)
		return;
	/* A read gives at most a page, in whole lines of 150 characters: one that is clearly less was the last. */
	do {
		got = pread(fd, text + used, sizeof(text) - 1 - used, used);
		used += got > 0 ? got : 0;
	} while (got > 4096 - 2 * 150 && used < sizeof(text) - 1);
	text[used] = 0;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *fields = memchr(line, ':', end - line);

		*end = 0;
		if (!fields || end - fields < 2 + TIMER)
			continue;
		fields += 2;
		if (is_iscsi_port(fields + LOCAL + PORT) || is_iscsi_port(fields + REMOTE + PORT))
			report_socket(fields);
	}
}

/* RDMA devices, by the number that netlink knows them by. */
static struct {
	uint32_t index;
	char name[64];
} devices[MAX_DEVICES];
static int device_count;

/* A chain of netlink attributes. */
struct attributes {
	const char *at;
	size_t left;
};

/* Takes the first attribute off the chain: its type, and its content; -1 at the end of the chain. */
static int next_attribute(struct attributes *chain, struct attributes *content)
{
	struct nlattr header;
	size_t whole;

	if (chain->left < NLA_HDRLEN)
		return -1;
	memcpy(&header, chain->at, sizeof(header));
	if (header.nla_len < NLA_HDRLEN || header.nla_len > chain->left)
		return -1;
	content->at = chain->at + NLA_HDRLEN;
	content->left = header.nla_len - NLA_HDRLEN;
	whole = NLA_ALIGN(header.nla_len);
	chain->at += whole;
	chain->left -= whole < chain->left ? whole : chain->left;
	return header.nla_type & NLA_TYPE_MASK;
}

static uint32_t attribute_number(const struct attributes *content)
{
	uint32_t number = 0;

	memcpy(&number, content->at, content->left < sizeof(number) ? content->left : sizeof(number));
	return number;
}

/*
 * Has `take` look at the attributes of every message that answers a command, about one device or about all. -1 if that
 * were not all of them: a list that is not whole must not be taken for one.
 */
static int ask_rdma(int command, int device, void (*take)(struct attributes chain, int device))
{
	static char answer[32768];
	static uint32_t sequence;
	static int fd = -1;
	struct {
		struct nlmsghdr header;
		struct nlattr attribute;
		uint32_t index;
	} question = {{.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command), .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		      {NLA_HDRLEN + sizeof(uint32_t), RDMA_NLDEV_ATTR_DEV_INDEX},
		      0};
	ssize_t got;

	if (fd < 0 && (fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_RDMA)) < 0)
		return -1;
	question.header.nlmsg_len = device < 0 ? sizeof(question.header) : sizeof(question);
	question.header.nlmsg_seq = ++sequence;
	question.index = device < 0 ? 0 : devices[device].index;
	if (send(fd, &question, question.header.nlmsg_len, 0) < 0)
		return -1;
	/* The kernel answers within send and recv: there is nothing to wait for. */
	while ((got = recv(fd, answer, sizeof(answer), 0)) > 0)
		for (struct nlmsghdr *message = (struct nlmsghdr *)answer; NLMSG_OK(message, got);
		     message = NLMSG_NEXT(message, got)) {
			struct attributes chain = {NLMSG_DATA(message), message->nlmsg_len - NLMSG_HDRLEN};

			if (message->nlmsg_seq != sequence)
				continue;
			if (message->nlmsg_type == NLMSG_ERROR)
				return -1;
			/* The end of a list tells of an error, too. */
			if (message->nlmsg_type == NLMSG_DONE)
				return (int)attribute_number(&chain) < 0 ? -1 : 0;
			take(chain, device);
		}
	return -1;
}

static void take_device(struct attributes chain, int unused)
{
	struct attributes content;
	int type, has_index = 0;

	(void)unused;
	if (device_count == MAX_DEVICES)
		return;
	devices[device_count].name[0] = 0;
	while ((type = next_attribute(&chain, &content)) >= 0)
		if (type == RDMA_NLDEV_ATTR_DEV_INDEX) {
			devices[device_count].index = attribute_number(&content);
			has_index = 1;
		} else if (type == RDMA_NLDEV_ATTR_DEV_NAME)
			snprintf(devices[device_count].name, sizeof(devices[0].name), "%.*s", (int)content.left,
				 content.at);
	device_count += has_index && devices[device_count].name[0];
}

/* IB_QPT_RC, and enum ib_qp_state (include/rdma/ib_verbs.h). */
enum { RELIABLE = 2 };
static const char *const qp_states[] = {"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"};

static void take_queue_pair(struct attributes chain, int device)
{
	uint32_t number = 0, peer = 0, type = 0, state = 0, sent = 0, received = 0;
	char key[KEY], value[VALUE];
	struct attributes content;
	int attribute;

	while ((attribute = next_attribute(&chain, &content)) >= 0) {
		uint32_t *field = attribute == RDMA_NLDEV_ATTR_RES_LQPN     ? &number
				  : attribute == RDMA_NLDEV_ATTR_RES_RQPN   ? &peer
				  : attribute == RDMA_NLDEV_ATTR_RES_TYPE   ? &type
				  : attribute == RDMA_NLDEV_ATTR_RES_STATE  ? &state
				  : attribute == RDMA_NLDEV_ATTR_RES_SQ_PSN ? &sent
				  : attribute == RDMA_NLDEV_ATTR_RES_RQ_PSN ? &received
									    : NULL;

		if (field)
			*field = attribute_number(&content);
	}
	if (type != RELIABLE || state >= sizeof(qp_states) / sizeof(qp_states[0]))
		return;
	snprintf(key, sizeof(key), "qp %s %u", devices[device].name, number);
	snprintf(value, sizeof(value), "%u %s %u %u", peer, qp_states[state], sent, received);
	report(key, value);
}

static void take_queue_pairs(struct attributes chain, int device)
{
	struct attributes list, entry;
	int type;

	while ((type = next_attribute(&chain, &list)) >= 0)
		if (type == RDMA_NLDEV_ATTR_RES_QP)
			while ((type = next_attribute(&list, &entry)) >= 0)
				if (type == RDMA_NLDEV_ATTR_RES_QP_ENTRY)
					take_queue_pair(entry, device);
}

/* What is known of the device's queue pairs, where nobody can say what has become of them. */
static void keep_queue_pairs(int device)
{
	char prefix[KEY];

	snprintf(prefix, sizeof(prefix), "qp %s ", devices[device].name);
	for (int i = 0; i < thing_count; i++)
		things[i].seen |= !strncmp(things[i].key, prefix, strlen(prefix));
}

/* Opening such a socket would load the kernel's RDMA modules: only where there are devices, and so sysfs has the class. */
static void look_at_queue_pairs(int search)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/class/infiniband", sys);
	if (search) {
		int known = device_count;

		device_count = 0;
		/* They come in the same order each time, so behind those that came are those that came before. */
		if (!access(path, F_OK) && ask_rdma(RDMA_NLDEV_CMD_GET, -1, take_device) && device_count < known)
			device_count = known;
	}
	for (int i = 0; i < device_count; i++)
		if (ask_rdma(RDMA_NLDEV_CMD_RES_QP_GET, i, take_queue_pairs))
			keep_queue_pairs(i);
}

static void look_at_map(struct map *map, int search)
{
	static union {
		struct dm_ioctl io;
		char bytes[4096];
	} buffer;
	static int control = -1;
	struct dm_target_spec *spec;
	char value[VALUE];

	if (!map->is_there && !search)
		return;
	map->is_there = 0;
	if (control < 0 && (control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC)) < 0)
		return;
	memset(&buffer.io, 0, sizeof(buffer.io));
	buffer.io.version[0] = DM_VERSION_MAJOR;
	buffer.io.data_size = sizeof(buffer);
	buffer.io.data_start = sizeof(buffer.io);
	snprintf(buffer.io.name, sizeof(buffer.io.name), "%s", map->key + strlen("dm "));
	if (ioctl(control, DM_TABLE_STATUS, &buffer) || buffer.io.target_count == 0)
		return;
	map->is_there = 1;
	spec = (struct dm_target_spec *)(buffer.bytes + buffer.io.data_start);
	snprintf(value, sizeof(value), "%.*s", VALUE - 1, (char *)(spec + 1));
	report(map->key, value);
}

static void look_at_mapper(int search)
{
	for (int i = 0; i < watch.map_count; i++)
		look_at_map(&watch.maps[i], search);
}

static struct {
	pid_t pid;
	int fd;
} daemons[MAX_PROCESSES];
static int daemon_count;

static void close_daemon(int i)
{
	if (daemons[i].fd >= 0)
		close(daemons[i].fd);
	daemons[i] = daemons[--daemon_count];
}

static void find_daemons(void)
{
	pid_t found[MAX_PROCESSES];
	int count = find_processes("iscsid", found);

	while (daemon_count > 0)
		close_daemon(0);
	for (int i = 0; i < count; i++) {
		daemons[daemon_count].pid = found[i];
		daemons[daemon_count].fd = open_process(found[i]);
		if (daemons[daemon_count].fd >= 0 || errno != ESRCH)
			daemon_count++;
	}
}

/* The newest pid is the last word of /proc/loadavg: as long as it stays, nobody was born. */
static int newest_pid(void)
{
	static int fd = -1;
	char line[128], *last;

	if (fd < 0)
		fd = open_file("/proc/loadavg");
	if (fd < 0 || read_line(fd, line, sizeof(line)) || !(last = strrchr(line, ' ')))
		return -1;
	return atoi(last);
}

static void report_daemons(void)
{
	char value[16];

	sprintf(value, "%d", daemon_count);
	report("daemon iscsid", value);
}

/*
 * A daemon's end comes by its pidfd; where there are none, every look searches. For its birth /proc is searched, which
 * is dear: after any birth, and now and then.
 */
static void look_at_daemons(int search)
{
	static int newest, searches;

	if (daemon_count > 0 && daemons[0].fd < 0)
		find_daemons();
	else if (search) {
		int pid = newest_pid();

		/* A process gets its name by exec, which may come after the first search that finds it. */
		if (pid != newest || pid < 0)
			searches = 2;
		newest = pid;
		if (searches > 0 || watch.look % (10 * SEARCH_EVERY) == 0)
			find_daemons();
		searches -= searches > 0;
	}
	report_daemons();
}

/* Daemons whose log the rig is told. Of the others, dropbear's above all, it could make nothing. */
static const char *const logging[] = {"iscsid"};
static int log_socket = -1;

/* No syslogd runs in the guest: without this socket what daemons log is lost. It is read at all times, so nobody waits. */
static void open_log(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, path);
	unlink(path);
	log_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (log_socket < 0 || !bind(log_socket, (struct sockaddr *)&address, sizeof(address)))
		return;
	close(log_socket);
	log_socket = -1;
}

/* "<30>Nov 22 20:12:42 iscsid: TEXT", as the C library writes it, with "[PID]" before the colon if it was asked for. */
static void report_log(char *message)
{
	char *name = strchr(message, '>'), *text;
	size_t length;

	if (!name || strlen(name) < sizeof("Nov 22 20:12:42 "))
		return;
	name += sizeof("Nov 22 20:12:42 ");
	length = strcspn(name, "[:");
	text = strstr(name + length, ": ");
	if (!text)
		return;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	for (size_t i = 0; i < sizeof(logging) / sizeof(logging[0]); i++)
		if (strlen(logging[i]) == length && !memcmp(name, logging[i], length))
			say("! syslog %s %.*s", logging[i], VALUE, text + 2);
}

static void take_log(void)
{
	char message[2048];
	ssize_t got;

	while ((got = recv(log_socket, message, sizeof(message) - 1, MSG_DONTWAIT)) >= 0) {
		message[got] = 0;
		if (watch.on && watch.due)
			report_log(message);
	}
}

static void look(void)
{
	int search = watch.look % SEARCH_EVERY == 0;

	look_at_sessions(search);
	look_at_sockets();
	look_at_queue_pairs(search);
	look_at_mapper(search);
	look_at_daemons(search);
	report_gone();
	watch.look++;
}

static void stop_watch(void)
{
	while (session_count > 0)
		close_session(&sessions[0]);
	while (daemon_count > 0)
		close_daemon(0);
	thing_count = 0;
	memset(&watch, 0, sizeof(watch));
}

static void first_look(void)
{
	look();
	say("! ready");
	watch.due = now_ns() + watch.interval;
}

/* ---- The verbs: each puts its answer's text into `text`, and returns -1 if it failed. ---- */

static int fail(char *text, const char *why)
{
	snprintf(text, TEXT, "%s", why);
	return -1;
}

static int fail_errno(char *text, const char *what)
{
	snprintf(text, TEXT, "%s: %s", what, strerror(errno));
	return -1;
}

static int do_hello(char **args, char *text)
{
	struct utsname system;

	(void)args;
	uname(&system);
	encode_argument(system.version, text + sprintf(text, "%d ", PROTOCOL));
	return 0;
}

static int do_clock(char **args, char *text)
{
	long seconds, nanoseconds;

	if (parse_number(args[0], 10, LONG_MAX, &seconds) || parse_number(args[1], 10, 999999999, &nanoseconds))
		return fail(text, "no such time");
	if (clock_settime(CLOCK_REALTIME, &(struct timespec){seconds, nanoseconds}))
		return fail_errno(text, "clock_settime");
	return 0;
}

static int do_entropy(char **args, char *text)
{
	static struct {
		struct rand_pool_info info;
		char bytes[MAX_LINE];
	} pool;
	long length = decode_hex(args[0]);
	int fd, result;

	if (length <= 0)
		return fail(text, "no bytes");
	fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	pool.info.entropy_count = length * 8;
	pool.info.buf_size = length;
	memcpy(pool.info.buf, args[0], length);
	result = fd < 0 ? -1 : ioctl(fd, RNDADDENTROPY, &pool);
	if (result)
		fail_errno(text, "RNDADDENTROPY");
	/* Guests restored from one snapshot give the same numbers until the generator is seeded anew (since 4.17). */
	else if (ioctl(fd, RNDRESEEDCRNG) && errno != ENOTTY && errno != EINVAL)
		result = fail_errno(text, "RNDRESEEDCRNG");
	if (fd >= 0)
		close(fd);
	return result;
}

static int do_random(char **args, char *text)
{
	unsigned char bytes[MAX_RANDOM];
	long length;

	if (parse_number(args[0], 10, MAX_RANDOM, &length))
		return fail(text, "256 bytes at most");
	if (getrandom(bytes, length, GRND_NONBLOCK) != length)
		return fail_errno(text, "getrandom");
	for (long i = 0; i < length; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return 0;
}

static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
}

static int write_all(int fd, const char *bytes, long length)
{
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);

		if (put < 0)
			return -1;
		bytes += put;
		length -= put;
	}
	return 0;
}

static int do_write(char **args, char *text)
{
	char *path = args[1], temporary[4096];
	long mode, length = decode_hex(args[2]);
	int fd, result;

	if (parse_number(args[0], 8, 07777, &mode) || length < 0 || !path[0])
		return fail(text, "a mode, a path and hexadecimal digits were expected");
	if (snprintf(temporary, sizeof(temporary), "%s.rig-new", path) >= (int)sizeof(temporary))
		return fail(text, strerror(ENAMETOOLONG));
	make_parents(path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(text, "open");
	result = fchmod(fd, mode) || write_all(fd, args[2], length) || rename(temporary, path);
	if (result) {
		result = fail_errno(text, "write");
		unlink(temporary);
	}
	close(fd);
	return result;
}

static int do_remove(char **args, char *text)
{
	return unlink(args[0]) && errno != ENOENT ? fail_errno(text, "unlink") : 0;
}

static int do_spawn(char **args, char *text)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	pid_t pid;
	int error;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
	/* What it prints goes where this program's own errors go: init made that /run/rig/services.log. */
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, 2, 1);
	/* This returns an error of exec too, and does not copy the parent's memory map as fork does. */
	error = posix_spawnp(&pid, args[0], &files, &attributes, args, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (error)
		return fail(text, strerror(error));
	sprintf(text, "%d", pid);
	return 0;
}

static int do_kill(char **args, char *text)
{
	pid_t pids[MAX_PROCESSES];
	int fds[MAX_PROCESSES], count, left = 0, refused = 0;
	int64_t until = now_ns() + KILL_MS * 1000000ll;
	long number;

	if (parse_number(args[0], 10, 64, &number))
		return fail(text, "no such signal");
	count = find_processes(args[1], pids);
	for (int i = 0; i < count; i++) {
		fds[i] = number == SIGKILL ? open_process(pids[i]) : -1;
		if (kill(pids[i], number) && errno != ESRCH)
			refused = errno;
	}
	for (int i = 0; i < count && number == SIGKILL && !refused; i++)
		left += !await_end(pids[i], fds[i], until);
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (refused)
		return fail(text, strerror(refused));
	snprintf(text, TEXT, "%d", count);
	return left ? fail(text, "not all of them are gone after 2 s") : 0;
}

static int do_sync(char **args, char *text)
{
	(void)args;
	(void)text;
	sync();
	return 0;
}

/* Names parted by commas as maps to look at; -1 if they are too long or too many. */
static int parse_maps(const char *names, struct map *maps)
{
	int count = 0;

	for (const char *name = names; *name; name += strcspn(name, ",")) {
		int length;

		name += *name == ',';
		length = strcspn(name, ",");
		if (count == MAX_MAPS || length == 0 || length >= KEY - (int)strlen("dm "))
			return -1;
		sprintf(maps[count++].key, "dm %.*s", length, name);
	}
	return count;
}

static int do_time(char **args, char *text)
{
	(void)args;
	sprintf(text, "%lld", (long long)now_ns());
	return 0;
}

static int do_put(char **args, char *text)
{
	long length = decode_hex(args[1]);
	int fd, result;

	if (length < 0)
		return fail(text, "hexadecimal digits were expected");
	fd = open(args[0], O_WRONLY | (length ? O_APPEND : O_TRUNC) | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(text, "open");
	result = write(fd, args[1], length) == length ? 0 : fail_errno(text, "write");
	close(fd);
	return result;
}

/* The answers of take, more and list are longer than any other: they are put here. */
static char long_text[MAX_TAKE / 3 * 4 + 8];
static int taken = -1;

/* Waits until the rig has taken what was said: many of these answers may be on their way, and none may be dropped. */
static void drain(void)
{
	struct pollfd port = {to_rig, POLLOUT, 0};
	int64_t until = now_ns() + DRAIN_MS * 1000000ll;

	while (output_used && now_ns() < until && poll(&port, 1, DRAIN_MS) == 1 && !(port.revents & (POLLHUP | POLLERR)))
		flush();
}

static void encode_base64(const unsigned char *from, size_t length, char *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		unsigned bits = from[i] << 16 | (i + 1 < length ? from[i + 1] << 8 : 0) | (i + 2 < length ? from[i + 2] : 0);

		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = digits[bits >> shift & 63];
	}
	if (length % 3)
		memset(to - (3 - length % 3), '=', 3 - length % 3);
	*to = 0;
}

static int do_more(char **args, char *text)
{
	static unsigned char bytes[MAX_TAKE];
	size_t length = 0;
	ssize_t got = 1;

	(void)args;
	drain();
	/* A page of a trace comes only whole. */
	while (taken >= 0 && got > 0 && length + 4096 <= sizeof(bytes)) {
		got = read(taken, bytes + length, 4096);
		length += got > 0 ? got : 0;
	}
	if (taken >= 0 && got <= 0) {
		int error = errno;

		close(taken);
		taken = -1;
		errno = error;
		if (got < 0 && errno != EAGAIN && length == 0)
			return fail_errno(text, "read");
	}
	encode_base64(bytes, length, long_text);
	return 0;
}

static int do_take(char **args, char *text)
{
	if (taken >= 0)
		close(taken);
	taken = open(args[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return taken < 0 ? fail_errno(text, "open") : do_more(args, text);
}

static int do_list(char **args, char *text)
{
	char *to = long_text;

	*to = 0;
	for (; *args; args++) {
		glob_t found;
		int result = glob(*args, GLOB_NOSORT, NULL, &found);

		if (result == GLOB_NOMATCH)
			continue;
		if (result)
			return fail(text, "the directory cannot be read");
		for (size_t i = 0; i < found.gl_pathc && !result; i++) {
			/* Encoding makes a path three times as long at most. */
			result = to + 3 * strlen(found.gl_pathv[i]) + 2 > long_text + sizeof(long_text);
			if (result)
				break;
			if (to > long_text)
				*to++ = ' ';
			encode_argument(found.gl_pathv[i], to);
			to += strlen(to);
		}
		globfree(&found);
		if (result)
			return fail(text, "there are too many");
	}
	return 0;
}

static int do_watch(char **args, char *text)
{
	struct map maps[MAX_MAPS] = {0};
	int map_count = parse_maps(args[1], maps);
	long interval_ms;

	if (parse_number(args[0], 10, 3600000, &interval_ms) || interval_ms == 0 || map_count < 0)
		return fail(text, "an interval in milliseconds and device-mapper names were expected");
	stop_watch();
	watch.on = 1;
	watch.interval = interval_ms * 1000000ll;
	watch.map_count = map_count;
	memcpy(watch.maps, maps, sizeof(maps));
	return 0;
}

static int do_unwatch(char **args, char *text)
{
	(void)args;
	(void)text;
	stop_watch();
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(char **args, char *text);
	int least, most;
	/* The program itself may be kept waiting, by a disk or by a process that has to end. */
	int waits;
} verbs[] = {
	{"hello", do_hello, 0, 0, 0},
	{"clock", do_clock, 2, 2, 0},
	{"entropy", do_entropy, 1, 1, 0},
	{"random", do_random, 1, 1, 0},
	{"write", do_write, 3, 3, 0},
	{"remove", do_remove, 1, 1, 0},
	{"spawn", do_spawn, 1, MAX_ARGS, 1},
	{"kill", do_kill, 2, 2, 1},
	{"sync", do_sync, 0, 0, 1},
	{"time", do_time, 0, 0, 0},
	{"put", do_put, 2, 2, 1},
	{"take", do_take, 1, 1, 1},
	{"more", do_more, 0, 0, 1},
	{"list", do_list, 1, MAX_ARGS, 1},
	{"watch", do_watch, 2, 2, 0},
	{"unwatch", do_unwatch, 0, 0, 0},
};

/* ---- What comes from the rig ---- */

static void answer(const char *id, const char *name, char **args, int count)
{
	const struct verb *verb = NULL;
	char text[TEXT] = "";

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && !verb; i++)
		if (!strcmp(verbs[i].name, name))
			verb = &verbs[i];
	if (!verb) {
		say("%s fail no such verb", id);
		return;
	}
	if (count < verb->least || count > verb->most) {
		say("%s fail %d arguments were not expected", id, count);
		return;
	}
	for (int i = 0; i < count; i++)
		if (decode_argument(args[i])) {
			say("%s fail argument %d cannot be read", id, i + 1);
			return;
		}
	if (verb->run(args, text))
		say("%s fail %s", id, text);
	else {
		int is_long = verb->run == do_take || verb->run == do_more || verb->run == do_list;
		const char *result = is_long ? long_text : text;

		say("%s ok%s%s", id, result[0] ? " " : "", result);
	}
	/* The rig takes the watch's lines from its answer on. */
	if (verb->run == do_watch && watch.on && !watch.due)
		first_look();
	/* Such a wait must not look like a guest without CPU. */
	if (verb->waits && watch.due < now_ns())
		watch.due = now_ns();
}

static void take_line(char *line, size_t length)
{
	char *words[MAX_ARGS + 3];
	size_t digits;
	int count = 0;

	/* The rig sends an empty line first, to end what another one may have left half said. */
	if (length == 0)
		return;
	if (strlen(line) == length)
		while (line && count < MAX_ARGS + 2) {
			words[count++] = line;
			line = strchr(line, ' ');
			if (line)
				*line++ = 0;
		}
	words[count] = NULL;
	digits = count > 0 ? strspn(words[0], "0123456789") : 0;
	if (line || count < 2 || digits == 0 || digits > 18 || words[0][digits]) {
		say("0 fail this is not a number, a verb and at most %d arguments", MAX_ARGS);
		return;
	}
	answer(words[0], words[1], words + 2, count - 2);
}

static char input[MAX_LINE + 1];
static size_t input_used;
static int skipping;

/* Takes what came; 0 if there is no other side. */
static int take_input(void)
{
	ssize_t got = read(from_rig, input + input_used, sizeof(input) - input_used);
	char *line = input, *end;

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	input_used += got;
	while ((end = memchr(line, '\n', input + input_used - line))) {
		*end = 0;
		if (!skipping)
			take_line(line, end - line);
		skipping = 0;
		/* The next command may take its time. */
		flush();
		line = end + 1;
	}
	input_used -= line - input;
	memmove(input, line, input_used);
	if (input_used == sizeof(input)) {
		if (!skipping)
			say("0 fail the line is longer than %d bytes", MAX_LINE);
		skipping = 1;
		input_used = 0;
	}
	return 1;
}

/* The rig left. The next one knows nothing of what this one was told, so it starts a watch of its own. */
static void host_left(void)
{
	stop_watch();
	output_used = input_used = 0;
	skipping = 0;
	/* Until the next one comes the port is ready at once with POLLHUP, for ever. */
	usleep(20000);
}

static void serve(void)
{
	for (;;) {
		struct pollfd set[3 + MAX_PROCESSES] = {
			{from_rig, POLLIN, 0}, {output_used ? to_rig : -1, POLLOUT, 0}, {log_socket, POLLIN, 0}};
		int64_t left = watch.on ? watch.due - now_ns() : 0;
		struct timespec wait = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
		int64_t now;

		for (int i = 0; i < daemon_count; i++)
			set[3 + i] = (struct pollfd){daemons[i].fd, POLLIN, 0};
		if (ppoll(set, 3 + daemon_count, watch.on ? &wait : NULL, NULL) < 0)
			continue;
		now = now_ns();
		if (on_port && set[0].revents & (POLLHUP | POLLERR | POLLNVAL)) {
			host_left();
			continue;
		}
		/* A daemon's last words come before the news of its end, which may have overtaken them in the set. */
		take_log();
		for (int i = daemon_count - 1; i >= 0; i--)
			if (set[3 + i].revents) {
				close_daemon(i);
				report_daemons();
			}
		if (watch.on && now >= watch.due) {
			if (now - watch.due > LATE_MS * 1000000ll)
				say("! late %lld", (long long)(now - watch.due) / 1000000);
			look();
			/* Looks that were missed are not made up for. */
			watch.due += watch.interval;
			if (watch.due <= now)
				watch.due = now + watch.interval;
		}
		if (set[0].revents && !take_input()) {
			if (!on_port)
				return;
			host_left();
			continue;
		}
		flush();
	}
}

/* The port appears when its driver has been told its name. */
static int open_port(void)
{
	for (int tries = 0; tries < 2000; tries++) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			int fd = open_file("/sys/class/virtio-ports/%s/name", entry->d_name);
			char name[64], path[300];

			if (read_file(fd, name, sizeof(name)) || strcmp(name, PORT_NAME))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0) {
				closedir(dir);
				return fd;
			}
		}
		if (dir)
			closedir(dir);
		usleep(5000);
	}
	return -1;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	/* Nobody waits for what is spawned. Not SIG_IGN: programs would inherit that, and they wait for their own. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, NULL);
	if (argc > 1 && !strcmp(argv[1], "--stdio")) {
		sys = argc > 2 ? argv[2] : sys;
		if (argc > 3)
			open_log(argv[3]);
		fcntl(from_rig, F_SETFL, fcntl(from_rig, F_GETFL) | O_NONBLOCK);
		fcntl(to_rig, F_SETFL, fcntl(to_rig, F_GETFL) | O_NONBLOCK);
	} else {
		static const char sorry[] = "<3>rig-agent: no virtio port is named " PORT_NAME "; nothing answers\n";

		open_log("/dev/log");
		from_rig = to_rig = open_port();
		on_port = 1;
		if (from_rig < 0) {
			int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

			return log < 0 || write(log, sorry, sizeof(sorry) - 1) < 0 ? 2 : 1;
		}
	}
	serve();
	return 0;
}
