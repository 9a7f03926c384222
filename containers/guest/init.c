// SPDX-License-Identifier: MIT
/*
 * The init of a lab guest, from the first instruction of user space to the agent that answers the rig.
 *
 * It is one static program because every fork and exec is dear without hardware virtualisation. It loads the modules
 * that the boot bundle lists, puts a tmpfs over the read-only root, sets names and addresses from the kernel command
 * line, starts the agent, and then reaps orphans for the rest of the guest's life.
 *
 * Command line: rig.node=NAME  rig.addr=DEV:A.B.C.D/LEN[,...]  rig.gateway=A.B.C.D
 * In the initramfs: /m/boot.list and /m/NAME.list (module files in load order), /agent and /nbd (moved to /run/rig).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* One line in the kernel log at warning level, and so on the console even before the console is opened to every level. */
static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	int used = snprintf(line, sizeof(line), "<4>rig-init: ");

	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	if (used > (int)sizeof(line) - 2)
		used = sizeof(line) - 2;
	/* Without a newline the kernel keeps the line open for more, and the console never sees its end. */
	line[used++] = '\n';
	if (fd >= 0) {
		if (write(fd, line, used) < 0)
			;
		close(fd);
	}
}

/* Nothing more can be done: say why and power off, so that the rig sees the end at once instead of a time-out. */
static void die(const char *what)
{
	say("cannot go on: %s: %s", what, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void must_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	if (mount(source, target, type, flags, data))
		die(target);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		say("cannot write %s: %s", path, strerror(errno));
	close(fd);
}

static void load_module(const char *file)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/m/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		say("module %s is listed but missing", file);
		return;
	}
	/* ENODEV: a driver for hardware (a CPU feature, say) that this machine does not have. */
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST && errno != ENODEV)
		say("module %s: %s", file, strerror(errno));
	close(fd);
}

static void load_list(const char *list)
{
	char line[256];
	FILE *file = fopen(list, "re");

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0])
			load_module(line);
	}
	fclose(file);
}

/* virtio-blk probes on its own time; the wait is in steps of 2 ms and ends with an error after 10 s. */
static void await_device(const char *path)
{
	for (int i = 0; i < 5000; i++) {
		if (!access(path, F_OK))
			return;
		usleep(2000);
	}
	errno = ENODEV;
	die(path);
}

/* The value of KEY= on the command line, in a buffer of its own; empty when it is not there. */
static char *argument(const char *cmdline, const char *key)
{
	size_t length = strlen(key);

	for (const char *p = cmdline; p; p = strchr(p, ' ')) {
		while (*p == ' ')
			p++;
		if (!strncmp(p, key, length) && p[length] == '=') {
			const char *value = p + length + 1;

			return strndup(value, strcspn(value, " \n"));
		}
	}
	return strdup("");
}

static char *slurp(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[got < 0 ? 0 : got] = 0;
	return text;
}

static void interface_up(int fd, const char *device)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		return;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	ioctl(fd, SIOCSIFFLAGS, &request);
}

/* DEV:ADDRESS/LENGTH */
static void set_address(int fd, char *spec)
{
	struct ifreq request = {0};
	struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
	char *colon = strchr(spec, ':'), *slash = strchr(spec, '/');

	if (!colon || !slash) {
		say("bad address %s", spec);
		return;
	}
	*colon = *slash = 0;
	snprintf(request.ifr_name, IFNAMSIZ, "%s", spec);
	address->sin_family = AF_INET;
	inet_pton(AF_INET, colon + 1, &address->sin_addr);
	if (ioctl(fd, SIOCSIFADDR, &request))
		say("address of %s: %s", spec, strerror(errno));
	address->sin_addr.s_addr = htonl(~0u << (32 - atoi(slash + 1)));
	ioctl(fd, SIOCSIFNETMASK, &request);
	interface_up(fd, spec);
}

/* QEMU's user network hands connections on with the client's own address, so answers need a way out. */
static void set_gateway(int fd, const char *gateway)
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
	struct sockaddr_in *to = (struct sockaddr_in *)&route.rt_dst, *via = (struct sockaddr_in *)&route.rt_gateway,
			   *mask = (struct sockaddr_in *)&route.rt_genmask;

	to->sin_family = via->sin_family = mask->sin_family = AF_INET;
	if (inet_pton(AF_INET, gateway, &via->sin_addr) != 1 || ioctl(fd, SIOCADDRT, &route))
		say("gateway %s: %s", gateway, strerror(errno));
}

static void network(char *addresses, const char *gateway)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	interface_up(fd, "lo");
	for (char *spec = strtok(addresses, ","); spec; spec = strtok(NULL, ","))
		set_address(fd, spec);
	if (gateway[0])
		set_gateway(fd, gateway);
	close(fd);
}

/* The programs belong to the kernel's bundle, not to the guest root: they are taken along before the new root hides them. */
static void take_program(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ssize_t sent;

	do {
		sent = sendfile(out, in, NULL, 1 << 20);
	} while (sent > 0);
	if (sent < 0)
		die(to);
	close(in);
	close(out);
	unlink(from);
}

static void new_root(void)
{
	await_device("/dev/vda");
	must_mount("/dev/vda", "/lower", "erofs", MS_RDONLY, "");
	must_mount("rw", "/rw", "tmpfs", 0, "mode=755");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	must_mount("root", "/new", "overlay", 0, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");
	await_device("/dev/vdb");
	must_mount("/dev/vdb", "/new/usr/lib/modules", "erofs", MS_RDONLY, "");
	must_mount("run", "/new/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	mkdir("/new/run/rig", 0700);
	take_program("/agent", "/new/run/rig/agent");
	take_program("/nbd", "/new/run/rig/rig-nbd");
	if (mount("/dev", "/new/dev", NULL, MS_MOVE, NULL) || mount("/proc", "/new/proc", NULL, MS_MOVE, NULL) ||
	    mount("/sys", "/new/sys", NULL, MS_MOVE, NULL))
		die("moving /dev, /proc and /sys");
	if (chdir("/new") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("switching to the new root");
}

static void start(char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		int log = open("/run/rig/services.log", O_WRONLY | O_CREAT | O_APPEND, 0600);

		setsid();
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(log, 1);
		dup2(log, 2);
		execv(argv[0], argv);
		say("cannot start %s: %s", argv[0], strerror(errno));
		_exit(127);
	}
}

int main(void)
{
	char *cmdline, *node, *addresses, list[300];
	struct utsname system;

	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	must_mount("dev", "/dev", "devtmpfs", 0, "");
	must_mount("proc", "/proc", "proc", 0, "");
	must_mount("sys", "/sys", "sysfs", 0, "");
	cmdline = slurp("/proc/cmdline");
	node = argument(cmdline, "rig.node");
	addresses = argument(cmdline, "rig.addr");

	load_list("/m/boot.list");
	snprintf(list, sizeof(list), "/m/%s.list", node);
	load_list(list);
	new_root();

	must_mount("pts", "/dev/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666");
	must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "");
	mount("config", "/sys/kernel/config", "configfs", 0, "");
	mount("debug", "/sys/kernel/debug", "debugfs", 0, "");
	sethostname(node, strlen(node));
	mkdir("/run/lock", 01777);
	network(addresses, argument(cmdline, "rig.gateway"));
	start((char *const[]){"/run/rig/agent", NULL});
	/* From here on every kernel message goes to the console: the oracle that reads it must miss none. */
	put("/proc/sys/kernel/printk", "8 4 1 7");
	uname(&system);
	say("up %s", system.version);

	for (;;)
		if (wait(NULL) < 0)
			pause();
}
