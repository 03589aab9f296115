// SPDX-License-Identifier: GPL-2.0-or-later
/** For tests: a folder with a double of mmdebstrap, and what image code is given. */
import type { BuiltImage } from "../config/definition.ts";
import type { Paths } from "../ui/paths.ts";
import type { Context } from "../ui/context.ts";

/** Packs a small root; FAKE_* say how it fails instead. It logs its arguments. */
const MMDEBSTRAP = `#!/bin/sh
here=\${0%/*}
printf '%s\\n' "$@" >> "$here/arguments"
echo "I: pretending"
if [ -n "\${FAKE_LINES:-}" ]; then printf "$FAKE_LINES"; exit 1; fi
if [ -n "\${FAKE_HANGS:-}" ]; then echo "E: busy" >&2; : > "$here/hangs"; exec sleep 60; fi
root=$TMPDIR/fake-root
mkdir -p $root/boot $root/etc $root/var/lib/systemd
echo "kernel of $(cat "$here/version" 2>/dev/null)" > $root/boot/vmlinuz-6.1.0-test
echo initrd > $root/boot/initrd.img-6.1.0-test
printf 'root:*:1:::::\\nalice:!:1:::::\\n' > $root/etc/shadow
printf 'localhost\\n' > $root/etc/hostname
tar -C $root -cf root.tar .
rm -r $root
`;

export interface Bench {
  folder: string;
  paths: Paths;
  context: Context;
  notes: string[];
  abort: AbortController;
  /** What the double of mmdebstrap was called with. */
  arguments(): string[];
  /** How often it was called. */
  builds(): number;
}

export async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = Deno.env.get("PATH") ?? "";
  const abort = new AbortController();
  const notes: string[] = [];
  try {
    await Deno.mkdir(`${folder}/tools`);
    await Deno.writeTextFile(`${folder}/tools/mmdebstrap`, MMDEBSTRAP, { mode: 0o755 });
    await Deno.mkdir(`${folder}/lib/bin`, { recursive: true });
    await Deno.writeTextFile(`${folder}/lib/bin/colinux-agent`, "agent");
    Deno.env.set("PATH", `${folder}/tools:${path}:/usr/sbin:/sbin`);
    const paths = {
      cache: `${folder}/cache`,
      state: `${folder}/state`,
      lib: `${folder}/lib`,
    } as Paths;
    const context = {
      paths,
      signal: abort.signal,
      progress: (line: string) => notes.push(line),
      debug: () => {},
      out: { transient: () => {} },
    } as unknown as Context;
    const calls = () => {
      try {
        return Deno.readTextFileSync(`${folder}/tools/arguments`).split("\n");
      } catch {
        return [];
      }
    };
    await body({
      folder,
      paths,
      context,
      notes,
      abort,
      arguments: calls,
      builds: () => calls().filter((line) => line === "root.tar").length,
    });
  } finally {
    Deno.env.set("PATH", path);
    for (const name of ["FAKE_LINES", "FAKE_HANGS"]) Deno.env.delete(name);
    await Deno.remove(folder, { recursive: true });
  }
}

export const plainImage: BuiltImage = {
  distribution: "bookworm",
  size: 256 << 20,
  kernel: "linux-image-cloud-amd64",
  packages: ["postfix"],
  debconf: ["a b/c select d"],
  files: { "/etc/motd": { text: "hello", mode: "0644", owner: "root:root" } },
  users: { alice: { password: "generate", shell: "/bin/bash", groups: [] } },
  scripts: [{ text: "#!/bin/sh\ntrue\n" }],
};
