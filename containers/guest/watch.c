// SPDX-License-Identifier: MIT
/*
 * Reports what changes on a node, one line a change, for as long as its output is read:
 *
 *   session SID ADDRESS STATE DEVICE              iscsi_session in sysfs, and the state of its SCSI device
 *   socket LOCAL REMOTE STATE SENDQ RECVQ ORPHAN  TCP sockets to or from an iSCSI port, from /proc/net/tcp
 *   dm NAME STATUS...                             status line of a device-mapper device
 *   daemon NAME COUNT                             number of processes of that name
 *
 * Instead of a value, GONE says that the thing left. "ready" follows the first look.
 *
 * The kernel offers no one event source for these, so it asks every few milliseconds; a small program that asks costs a
 * hundredth of what a remote command would.
 *
 * Usage: rig-watch INTERVAL_MS DM_NAME
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_THINGS 512
#define TEXT 256

struct thing {
	char key[TEXT], value[TEXT];
	int seen;
};

static struct thing things[MAX_THINGS];
static int thing_count;

/* Prints "KEY VALUE" if the value is not the one last printed for this key. */
static void report(const char *key, const char *value)
{
	struct thing *thing = NULL;

	for (int i = 0; i < thing_count && !thing; i++)
		if (!strcmp(things[i].key, key))
			thing = &things[i];
	if (!thing) {
		if (thing_count == MAX_THINGS)
			return;
		thing = &things[thing_count++];
		snprintf(thing->key, TEXT, "%s", key);
	}
	thing->seen = 1;
	if (strcmp(thing->value, value)) {
		snprintf(thing->value, TEXT, "%s", value);
		printf("%s %s\n", key, value);
	}
}

/* What was there at the last look and is not now. */
static void report_gone(void)
{
	for (int i = 0; i < thing_count;) {
		if (things[i].seen) {
			things[i++].seen = 0;
			continue;
		}
		printf("%s GONE\n", things[i].key);
		things[i] = things[--thing_count];
	}
}

static int read_line(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	out[0] = 0;
	if (fd < 0)
		return -1;
	got = read(fd, out, size - 1);
	close(fd);
	out[got < 0 ? 0 : got] = 0;
	out[strcspn(out, "\n")] = 0;
	return 0;
}

/* The first entry of `dir` that begins with `prefix`. */
static int first_entry(const char *dir, const char *prefix, char *out, size_t size)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;
	int found = -1;

	while (handle && found && (entry = readdir(handle)))
		if (entry->d_name[0] != '.' && !strncmp(entry->d_name, prefix, strlen(prefix))) {
			snprintf(out, size, "%s", entry->d_name);
			found = 0;
		}
	if (handle)
		closedir(handle);
	return found;
}

static void sessions(void)
{
	DIR *dir = opendir("/sys/class/iscsi_session");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[1024], name[TEXT], state[64], address[64] = "-", persistent[64], device[64] = "-", key[TEXT], value[TEXT];
		int cid = 0, sid;

		if (sscanf(entry->d_name, "session%d", &sid) != 1)
			continue;
		snprintf(path, sizeof(path), "/sys/class/iscsi_session/%s/state", entry->d_name);
		if (read_line(path, state, sizeof(state)))
			continue;
		snprintf(path, sizeof(path), "/sys/class/iscsi_connection/connection%d:%d/persistent_address", sid, cid);
		read_line(path, persistent, sizeof(persistent));
		if (persistent[0])
			snprintf(address, sizeof(address), "%s", persistent);
		snprintf(path, sizeof(path), "/sys/class/iscsi_session/%s/device", entry->d_name);
		if (!first_entry(path, "target", name, sizeof(name))) {
			char target[1200], lun[TEXT], block[1800];

			snprintf(target, sizeof(target), "%s/%s", path, name);
			/* target0:0:0/0:0:0:0/state is the SCSI device's own state: running, blocked, offline ... */
			if (!first_entry(target, name + strlen("target"), lun, sizeof(lun))) {
				snprintf(block, sizeof(block), "%s/%s/state", target, lun);
				read_line(block, device, sizeof(device));
			}
		}
		snprintf(key, sizeof(key), "session %d %s", sid, address);
		snprintf(value, sizeof(value), "%s %s", state, device);
		report(key, value);
	}
	if (dir)
		closedir(dir);
}

static const char *const tcp_states[] = {
	"?", "ESTABLISHED", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
	"TIME-WAIT", "CLOSE", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
};

enum { ESTABLISHED = 1, LISTEN = 10 };

static int iscsi_port(unsigned port)
{
	return port == 3260 || port == 3261;
}

static void sockets(void)
{
	char line[512];
	FILE *file = fopen("/proc/net/tcp", "re");

	while (file && fgets(line, sizeof(line), file)) {
		unsigned local, remote, state, sendq, recvq, local_port, remote_port;
		unsigned long inode;
		char key[TEXT], value[TEXT], from[32], to[32];

		if (sscanf(line, " %*d: %8X:%4X %8X:%4X %2X %8X:%8X %*X:%*X %*X %*u %*u %lu", &local, &local_port, &remote,
			   &remote_port, &state, &sendq, &recvq, &inode) != 8)
			continue;
		if ((!iscsi_port(remote_port) && !iscsi_port(local_port)) || state > 11 || state == LISTEN)
			continue;
		inet_ntop(AF_INET, &local, from, sizeof(from));
		inet_ntop(AF_INET, &remote, to, sizeof(to));
		snprintf(key, sizeof(key), "socket %s:%u %s:%u", from, local_port, to, remote_port);
		/* A closed socket has no inode: nobody in user space or in the initiator owns it any more. */
		snprintf(value, sizeof(value), "%s %u %u %d", tcp_states[state], state == ESTABLISHED && inode ? 0 : sendq,
			 recvq, inode == 0);
		report(key, value);
	}
	if (file)
		fclose(file);
}

static void mapper(int control, const char *name)
{
	static union {
		struct dm_ioctl io;
		char bytes[4096];
	} buffer;
	struct dm_target_spec *spec;
	char key[TEXT], value[TEXT];

	memset(&buffer.io, 0, sizeof(buffer.io));
	buffer.io.version[0] = DM_VERSION_MAJOR;
	buffer.io.data_size = sizeof(buffer);
	buffer.io.data_start = sizeof(buffer.io);
	snprintf(buffer.io.name, sizeof(buffer.io.name), "%s", name);
	if (control < 0 || ioctl(control, DM_TABLE_STATUS, &buffer) || buffer.io.target_count == 0)
		return;
	spec = (struct dm_target_spec *)(buffer.bytes + buffer.io.data_start);
	snprintf(key, sizeof(key), "dm %s", name);
	snprintf(value, sizeof(value), "%.*s", TEXT - 1, (char *)(spec + 1));
	report(key, value);
}

static void daemons(const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char path[300], comm[64], key[TEXT], value[TEXT];
	int count = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (!read_line(path, comm, sizeof(comm)) && !strcmp(comm, name))
			count++;
	}
	if (dir)
		closedir(dir);
	snprintf(key, sizeof(key), "daemon %s", name);
	snprintf(value, sizeof(value), "%d", count);
	report(key, value);
}

int main(int argc, char **argv)
{
	int interval_ms = argc > 1 ? atoi(argv[1]) : 20;
	const char *name = argc > 2 ? argv[2] : "mp";
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int look = 0;; look++) {
		if (control < 0)
			control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
		sessions();
		sockets();
		mapper(control, name);
		daemons("iscsid");
		report_gone();
		if (look == 0)
			printf("ready\n");
		usleep(interval_ms * 1000);
	}
}
