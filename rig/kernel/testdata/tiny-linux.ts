/**
 * A source tree that Kbuild's callers cannot tell from Linux: two files to compile, a configuration, an image. It
 * compiles by copying, says what it does as Kbuild does, and rebuilds by the files' times as make always does.
 */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import path from "node:path";
import { contentKey } from "../../core/cache.ts";
import { cacheDir } from "../../core/paths.ts";
import type { SourceTree } from "../source-tree.ts";

const MAKEFILE = `VERSION = 5
PATCHLEVEL = 10
SUBLEVEL = 1
EXTRAVERSION =

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:

O ?= .
image := $(O)/arch/x86/boot/bzImage
objects := $(O)/a.o $(O)/b.o

kernelversion:
	@echo 5.10.1

allnoconfig:
	@sed 's/^CONFIG_DROPPED=.*/# CONFIG_DROPPED is not set/' $(O)/$(KCONFIG_ALLCONFIG) > $(O)/$(KCONFIG_CONFIG)

bzImage: $(image)

# A source that has the word wait in it compiles until somebody removes the file "wait".
$(O)/%.o: %.c $(O)/.config
	@echo "  CC      $*.o"
	@cp $< $@
	@if grep -q error $<; then echo "../$<:2:1: error: expected an identifier"; exit 1; fi
	@if grep -q wait $<; then touch $(O)/wait; while [ -e $(O)/wait ]; do sleep 0.02; done; fi

$(image): $(objects)
	@echo "  LD      vmlinux"
	@echo "flags: $(KCFLAGS)"
	@mkdir -p $(O)/arch/x86/boot $(O)/include/config
	@echo 5.10.1$(LOCALVERSION) > $(O)/include/config/kernel.release
	@touch $(O)/modules.builtin $(O)/modules.builtin.modinfo
	@cat $(objects) > $@
	@echo "$$KBUILD_BUILD_USER@$$KBUILD_BUILD_HOST $$KBUILD_BUILD_TIMESTAMP $$KBUILD_BUILD_VERSION" >> $@
`;

/** A tiny source in the cache, as `sourceTree` would have put it there. */
export const tinyLinux = async (files: Readonly<Record<string, string>> = {}): Promise<SourceTree> => {
  await mkdir(path.join(cacheDir(), "kernel-sources"), { recursive: true });
  const directory = await mkdtemp(path.join(cacheDir(), "kernel-sources", "tiny-"));
  const all = {
    Makefile: MAKEFILE,
    Kconfig: "config DROPPED\n\tbool\n\tdepends on NOTHING\n",
    "a.c": "int a;\nint b;\nint c;\n",
    "b.c": "int z;\n",
    ...files,
  };
  for (const [name, text] of Object.entries(all)) await writeFile(path.join(directory, name), text);
  return { key: contentKey(JSON.stringify(all)), directory, title: "tiny-linux", version: "5.10.1" };
};
