// SPDX-License-Identifier: MIT
/*
 * The least that a guest can do: say one line on the console and power off. Booted with a lab's kernel and initramfs it
 * shows how much of a boot is QEMU and the kernel, and is nobody's to save.
 */
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
	static const char line[] = "rig-trivial: up\n";

	/* The kernel opens /dev/console for the first process. */
	if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0)
		return 1;
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
