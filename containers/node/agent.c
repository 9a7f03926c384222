// SPDX-License-Identifier: MIT
/*
 * The first process of a node's container: runs commands in it, QEMU among them, for whoever connects to its socket.
 *
 * A connection is a command, from its request to its end. A client that dies lets go of its connections, and their
 * commands die with them, so that nothing has to be tidied up afterwards.
 *
 *   request   u32 length, then as many bytes of strings, each with a NUL behind it: flags, then the argument vector
 *   replies   frames of u8 type, u32 length and as many bytes; all numbers are little endian
 *             1 standard output   2 standard error
 *             4 PID: it runs
 *             5 window_us=N cpu_us=N wait_us=N: it had to wait for a CPU
 *             3 exit CODE | signal N, then cpu_us=N maxrss_kib=N: it is over. The last frame
 *             6 WHY: it does not run. The last frame
 *   flags     with commas between them: detach (outlives its connection), load (frames of type 5)
 *
 * When the client stops sending, its command is killed with its whole process group, and a client that still reads is
 * told of the end. A detached command goes on, and what it prints then goes nowhere.
 *
 * Usage: rig-agent SOCKET_PATH
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum frame { OUT = 1, ERR, END, STARTED, LOAD, REFUSED };

#define MAX_COMMANDS 64
/* More than commands: some have not asked yet, some have yet to read how it ended or why it was refused. */
#define MAX_CONNECTIONS (MAX_COMMANDS + 16)
#define MAX_REQUEST (256 << 10)
/* While more than this waits for a client, its command's pipes are left alone. */
#define MAX_WAITING (256 << 10)
#define CHUNK (64 << 10)
#define MAX_TEXT 512
#define HEADER 5
#define MAX_THREADS 128

#define MS 1000000LL
/* How long a command that is over is waited for where a process that it left behind holds its pipes. */
#define GRACE_NS (200 * MS)
#define SAMPLE_NS (100 * MS)
#define WORTH_TELLING_NS (20 * MS)

struct thread {
	int tid;
	unsigned long long run_ns, wait_ns;
};

struct command {
	enum { ASKING, RUNNING, OVER } state;
	int client;  /* -1: gone */
	int silent;  /* it will send no more */
	int detach, load;
	pid_t pid;   /* of the child, and of its process group */
	int pipes[2];
	int64_t left[2]; /* bytes still to be read from each */
	int ended, capped, status;
	int64_t ended_ns, sampled_ns, due_ns;
	struct rusage usage;
	struct thread threads[MAX_THREADS];
	int thread_count;
	size_t asked, waiting; /* bytes in the two buffers */
	char request[4 + MAX_REQUEST];
	/* Below MAX_WAITING a chunk from each pipe still fits in, and a text or two. */
	char reply[MAX_WAITING + 2 * (HEADER + CHUNK) + 4 * (HEADER + MAX_TEXT)];
};

static struct command *commands[MAX_CONNECTIONS];

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* Makes a frame of what already stands behind the room for its header. */
static void add_frame(struct command *command, enum frame type, size_t length)
{
	char *at = command->reply + command->waiting;
	uint32_t little = htole32(length);

	if (command->client < 0)
		return;
	at[0] = type;
	memcpy(at + 1, &little, sizeof(little));
	command->waiting += HEADER + length;
}

static void tell(struct command *command, enum frame type, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(command->reply + command->waiting + HEADER, MAX_TEXT, format, args);
	va_end(args);
	add_frame(command, type, length < MAX_TEXT ? length : MAX_TEXT - 1);
}

static void close_pipe(struct command *command, int which)
{
	if (command->pipes[which] >= 0)
		close(command->pipes[which]);
	command->pipes[which] = -1;
}

/*
 * The leader may have been reaped already. Its number stays taken while anything of its group lives, and numbers are
 * given out in turn, so that in the moment before the connection ends it cannot mean another group.
 */
static void kill_group(const struct command *command)
{
	if (command->state == RUNNING)
		kill(-command->pid, SIGKILL);
}

/* The client is not there any more. */
static void lose_client(struct command *command)
{
	close(command->client);
	command->client = -1;
	command->waiting = 0;
	command->load = 0;
	if (!command->detach) {
		kill_group(command);
		close_pipe(command, 0);
		close_pipe(command, 1);
		/* Otherwise it is over when it is reaped. */
		if (command->ended)
			command->state = OVER;
	}
}

static void flush(struct command *command)
{
	ssize_t sent;

	if (command->client < 0 || !command->waiting)
		return;
	sent = send(command->client, command->reply, command->waiting, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			lose_client(command);
		return;
	}
	command->waiting -= sent;
	memmove(command->reply, command->reply + sent, command->waiting);
	if (command->waiting || command->state != OVER)
		return;
	/* The client closes first: a socket closed with something unread in it may take the last frame with it. */
	if (command->silent)
		lose_client(command);
	else
		shutdown(command->client, SHUT_WR);
}

static void refuse(struct command *command, const char *what, const char *name, int error)
{
	command->state = OVER;
	tell(command, REFUSED, "%s%.200s%s%s", what, name, error ? ": " : "", error ? strerror(error) : "");
}

/* In the child: becomes the command, or tells the parent why not. */
static void become(char **argv, int out, int err, int told)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), why;
	sigset_t none;

	setsid();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2)
		execvp(argv[0], argv);
	why = errno;
	_exit(write(told, &why, sizeof(why)) == sizeof(why) ? 127 : 126);
}

static void run(struct command *command, char **argv)
{
	/* Standard output, standard error, and how exec failed: closed by an exec that did not. */
	int ends[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, why = 0;
	pid_t pid = -1;

	if (!pipe2(ends[0], O_CLOEXEC) && !pipe2(ends[1], O_CLOEXEC) && !pipe2(ends[2], O_CLOEXEC))
		pid = fork();
	if (pid < 0)
		why = errno;
	if (pid == 0)
		become(argv, ends[0][1], ends[1][1], ends[2][1]);
	for (int i = 0; i < 3; i++)
		close(ends[i][1]);
	if (pid < 0) {
		refuse(command, "cannot start it", "", why);
	} else if (read(ends[2][0], &why, sizeof(why)) == sizeof(why)) {
		waitpid(pid, NULL, 0);
		refuse(command, "cannot run ", argv[0], why);
	}
	close(ends[2][0]);
	for (int i = 0; i < 2; i++) {
		if (command->state == OVER) {
			close(ends[i][0]);
			continue;
		}
		/* This end only: the command may expect to be able to wait for room in the other. */
		fcntl(ends[i][0], F_SETFL, O_NONBLOCK);
		command->pipes[i] = ends[i][0];
		command->left[i] = INT64_MAX;
	}
	if (command->state == OVER)
		return;
	command->state = RUNNING;
	command->pid = pid;
	command->sampled_ns = now_ns();
	command->due_ns = command->sampled_ns + SAMPLE_NS;
	tell(command, STARTED, "%d", pid);
}

/* Begins the command, once all of the request is there. */
static void start(struct command *command)
{
	static char *argv[MAX_REQUEST];
	char *text = command->request + 4, *end, *rest, *flag;
	uint32_t length;
	int argc = 0, running = 0;

	if (command->asked < 4)
		return;
	memcpy(&length, command->request, sizeof(length));
	length = le32toh(length);
	if (length == 0 || length > MAX_REQUEST) {
		refuse(command, "bad request: its length", "", 0);
		return;
	}
	if (command->asked < 4 + length)
		return;
	end = text + length;
	if (end[-1]) {
		refuse(command, "bad request: no NUL at its end", "", 0);
		return;
	}
	for (char *at = text + strlen(text) + 1; at < end; at += strlen(at) + 1)
		argv[argc++] = at;
	argv[argc] = NULL;
	for (flag = strtok_r(text, ",", &rest); flag; flag = strtok_r(NULL, ",", &rest)) {
		if (!strcmp(flag, "detach")) {
			command->detach = 1;
		} else if (!strcmp(flag, "load")) {
			command->load = 1;
		} else {
			refuse(command, "bad request: unknown flag ", flag, 0);
			return;
		}
	}
	for (int i = 0; i < MAX_CONNECTIONS; i++)
		running += commands[i] && commands[i]->state == RUNNING;
	if (argc == 0 || !argv[0][0])
		refuse(command, "bad request: no command", "", 0);
	else if (running == MAX_COMMANDS)
		refuse(command, "too many commands", "", 0);
	else
		run(command, argv);
}

static void hear(struct command *command)
{
	/* After a request nothing is expected, and what comes is dropped. */
	size_t from = command->state == ASKING ? command->asked : 0;
	ssize_t got = recv(command->client, command->request + from, sizeof(command->request) - from, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == 0 && command->state == RUNNING && !command->detach) {
		/* It may still want to know how the command ended; if not, telling it will show. */
		command->silent = 1;
		kill_group(command);
	} else if (got <= 0) {
		lose_client(command);
	} else if (command->state == ASKING) {
		command->asked += got;
		start(command);
	}
}

static void read_pipe(struct command *command, int which)
{
	int64_t left = command->left[which];
	ssize_t got = read(command->pipes[which], command->reply + command->waiting + HEADER, left < CHUNK ? left : CHUNK);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		add_frame(command, which == 0 ? OUT : ERR, got);
		command->left[which] -= got;
	}
	if (got <= 0 || command->left[which] == 0)
		close_pipe(command, which);
}

/* Whoever still holds the pipes is not the command: what is in them now is the last of it. */
static void cap_pipes(struct command *command)
{
	command->capped = 1;
	for (int i = 0; i < 2; i++) {
		int held = 0;

		if (command->pipes[i] >= 0 && (ioctl(command->pipes[i], FIONREAD, &held) || held == 0))
			close_pipe(command, i);
		command->left[i] = held;
	}
}

/* CPU time, and time ready to run without a CPU, of a thread so far (Documentation/scheduler/sched-stats.rst). */
static int read_thread(pid_t pid, struct thread *thread)
{
	char path[64];
	FILE *file;
	int got = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, thread->tid);
	file = fopen(path, "re");
	if (file) {
		got = fscanf(file, "%llu %llu", &thread->run_ns, &thread->wait_ns);
		fclose(file);
	}
	return got == 2;
}

/*
 * Tells how long the command's threads ran since the last sample, and how long the one that waited most did. The
 * kernel counts a wait when it is over, so that a long one is told in the window in which it ends.
 */
static void sample(struct command *command, int64_t now)
{
	struct thread seen[MAX_THREADS];
	unsigned long long run_ns = 0, wait_ns = 0;
	struct dirent *entry;
	int count = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", command->pid);
	dir = opendir(path);
	while (dir && count < MAX_THREADS && (entry = readdir(dir))) {
		struct thread *thread = &seen[count], before = {0};

		thread->tid = atoi(entry->d_name);
		if (thread->tid == 0 || !read_thread(command->pid, thread))
			continue;
		count++;
		for (int i = 0; i < command->thread_count; i++)
			if (command->threads[i].tid == thread->tid && command->threads[i].run_ns <= thread->run_ns)
				before = command->threads[i];
		run_ns += thread->run_ns - before.run_ns;
		if (thread->wait_ns - before.wait_ns > wait_ns)
			wait_ns = thread->wait_ns - before.wait_ns;
	}
	if (dir)
		closedir(dir);
	if (wait_ns >= WORTH_TELLING_NS)
		tell(command, LOAD, "window_us=%lld cpu_us=%llu wait_us=%llu", (long long)(now - command->sampled_ns) / 1000,
		     run_ns / 1000, wait_ns / 1000);
	memcpy(command->threads, seen, count * sizeof(seen[0]));
	command->thread_count = count;
	command->sampled_ns = now;
}

static void tell_end(struct command *command)
{
	const struct timeval *user = &command->usage.ru_utime, *system = &command->usage.ru_stime;
	int killed = WIFSIGNALED(command->status);

	tell(command, END, "%s %d cpu_us=%lld maxrss_kib=%ld", killed ? "signal" : "exit",
	     killed ? WTERMSIG(command->status) : WEXITSTATUS(command->status),
	     (user->tv_sec + system->tv_sec) * 1000000LL + user->tv_usec + system->tv_usec, command->usage.ru_maxrss);
	command->state = OVER;
}

/* One turn of one command; `polled` are its client and its two pipes. */
static void serve(struct command *command, const struct pollfd *polled, int64_t now)
{
	if (polled[0].revents & ~POLLOUT)
		hear(command);
	for (int i = 0; i < 2; i++)
		if (polled[1 + i].revents && command->pipes[i] >= 0)
			read_pipe(command, i);
	if (command->state == RUNNING && command->ended) {
		if (!command->capped && now >= command->ended_ns + GRACE_NS)
			cap_pipes(command);
		if (command->pipes[0] < 0 && command->pipes[1] < 0)
			tell_end(command);
	} else if (command->state == RUNNING && command->load && now >= command->due_ns) {
		/* For a client that does not read, the window goes on. */
		if (command->waiting <= MAX_WAITING)
			sample(command, now);
		command->due_ns = now + SAMPLE_NS;
	}
	flush(command);
}

/* Which events of a command are waited for; poll skips what is negative. */
static void want(const struct command *command, struct pollfd *polled)
{
	int full = command && command->waiting > MAX_WAITING;

	for (int i = 0; i < 3; i++)
		polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (!command)
		return;
	if (command->silent)
		polled[0].events = 0;
	if (command->waiting)
		polled[0].events |= POLLOUT;
	if (polled[0].events)
		polled[0].fd = command->client;
	for (int i = 0; i < 2 && !full; i++)
		polled[1 + i].fd = command->pipes[i];
}

/* Milliseconds until there is something to do without an event. */
static int pause_ms(int64_t now)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < MAX_CONNECTIONS; i++) {
		const struct command *command = commands[i];
		int64_t due = INT64_MAX;

		if (!command || command->state != RUNNING)
			continue;
		if (command->ended && !command->capped)
			due = command->ended_ns + GRACE_NS;
		else if (!command->ended && command->load)
			due = command->due_ns;
		if (due < next)
			next = due;
	}
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : (next - now) / MS + 1;
}

/* The commands' children, and orphans: as first process of a container every one of them ends up here. */
static void reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (int i = 0; i < MAX_CONNECTIONS; i++) {
			struct command *command = commands[i];

			if (!command || command->state != RUNNING || command->ended || command->pid != pid)
				continue;
			command->ended = 1;
			command->ended_ns = now_ns();
			command->status = status;
			command->usage = usage;
		}
}

static void take_signals(int signals, const char *path)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		for (int i = 0; i < MAX_CONNECTIONS; i++)
			if (commands[i])
				kill_group(commands[i]);
		unlink(path);
		exit(0);
	}
	reap();
}

static void welcome(int listener, struct command **slot)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct command *command = client < 0 ? NULL : calloc(1, sizeof(*command));

	if (command) {
		command->client = client;
		command->pipes[0] = command->pipes[1] = -1;
		*slot = command;
	} else if (client >= 0) {
		close(client);
	}
}

static void die(const char *what)
{
	fprintf(stderr, "rig-node: cannot go on: %s: %s\n", what, strerror(errno));
	exit(70);
}

static int listen_at(const char *path)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask = umask(0177);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(address.sun_path, path, strlen(path));
	/* One of an agent that was killed. */
	unlink(path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, SOMAXCONN))
		die(path);
	umask(mask);
	return listener;
}

int main(int argc, char **argv)
{
	static struct pollfd polled[2 + 3 * MAX_CONNECTIONS];
	int listener, signals;
	sigset_t mine;

	if (argc != 2) {
		fprintf(stderr, "usage: rig-agent SOCKET_PATH\n");
		return 64;
	}
	sigemptyset(&mine);
	sigaddset(&mine, SIGCHLD);
	sigaddset(&mine, SIGTERM);
	sigaddset(&mine, SIGINT);
	sigprocmask(SIG_BLOCK, &mine, NULL);
	/* Who ignores it has no children to wait for. */
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		die("signalfd");
	listener = listen_at(argv[1]);
	fprintf(stderr, "rig-node: ready\n");

	for (;;) {
		struct command **free_slot = NULL;
		int64_t now;

		for (int i = 0; i < MAX_CONNECTIONS; i++) {
			want(commands[i], &polled[2 + 3 * i]);
			if (!commands[i])
				free_slot = &commands[i];
		}
		polled[0] = (struct pollfd){.fd = signals, .events = POLLIN};
		polled[1] = (struct pollfd){.fd = free_slot ? listener : -1, .events = POLLIN};
		if (poll(polled, 2 + 3 * MAX_CONNECTIONS, pause_ms(now_ns())) < 0)
			continue;
		if (polled[0].revents)
			take_signals(signals, argv[1]);
		now = now_ns();
		for (int i = 0; i < MAX_CONNECTIONS; i++) {
			if (!commands[i])
				continue;
			serve(commands[i], &polled[2 + 3 * i], now);
			if (commands[i]->client < 0 && commands[i]->state != RUNNING) {
				free(commands[i]);
				commands[i] = NULL;
			}
		}
		if (polled[1].revents)
			welcome(listener, free_slot);
	}
}
