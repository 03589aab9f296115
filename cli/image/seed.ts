// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What differs from VM to VM in the root of one image: names, file systems,
 * generated passwords. Written into the unmounted file with debugfs, so that it
 * needs neither root nor a service in the guest. Called by vm/root.ts.
 */
import type { Definition } from "../config/definition.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { digest } from "./recipe.ts";
import { failed, must, run } from "./process.ts";

export interface Seed {
  hostname: string;
  machineId: string;
  fstab: string;
}

export function seedOf(definition: Definition, state: string): Seed {
  const text = new TextEncoder().encode(`machine\0${state}\0${definition.name}`);
  return {
    hostname: definition.name.replaceAll("_", "-"),
    machineId: digest(text).slice(0, 32),
    fstab: fstabOf(definition),
  };
}

/** Disks that coLinux makes go by their label, others by their place in the definition. */
function fstabOf(definition: Definition): string {
  // The kernel replays its journal; what more a check could find, a new root repairs.
  const lines = ["LABEL=root / ext4 errors=remount-ro 0 0"];
  for (const [index, disk] of (definition.disks ?? []).entries()) {
    if (disk.mount === undefined) continue;
    const source = disk.path === undefined
      ? `LABEL=${disk.name}`
      : `/dev/xvd${String.fromCharCode("b".charCodeAt(0) + index)}`;
    const options = disk.readOnly ? "ro" : "defaults";
    lines.push(`${source} ${disk.mount} ext4 ${options} 0 2`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * `hashes`: users and their new hashes; only for a root that never ran, since
 * one that did may have changed its own.
 */
export async function seedRoot(
  root: string,
  seed: Seed,
  hashes: ReadonlyMap<string, string>,
): Promise<void> {
  const folder = `${root}.seed`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { mode: 0o700 });
  try {
    const hosts = `127.0.0.1 localhost\n127.0.1.1 ${seed.hostname}\n::1 localhost ip6-localhost\n`;
    const files: [name: string, text: string, mode: string, group: string][] = [
      ["hostname", `${seed.hostname}\n`, "0100644", "0"],
      ["hosts", hosts, "0100644", "0"],
      ["machine-id", `${seed.machineId}\n`, "0100444", "0"],
      ["fstab", seed.fstab, "0100644", "0"],
    ];
    if (hashes.size > 0) {
      const shadow = withHashes(await read(root, folder, "/etc/shadow"), hashes);
      // 42 is Debian's group shadow, in every release.
      files.push(["shadow", shadow, "0100640", "42"]);
    }
    // What no program can guess, before the guest has met anything random.
    await Deno.writeFile(`${folder}/random`, crypto.getRandomValues(new Uint8Array(512)));
    let script = "cd /var/lib/systemd\nrm random-seed\nwrite random random-seed\n" +
      "set_inode_field random-seed mode 0100600\ncd /etc\n";
    for (const [name, text, mode, group] of files) {
      await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
      script += `rm ${name}\nwrite ${name} ${name}\n` +
        `set_inode_field ${name} mode ${mode}\nset_inode_field ${name} gid ${group}\n`;
    }
    const { lines } = await run("debugfs", ["-w", "-f", "-", root], { cwd: folder, stdin: script });
    // debugfs succeeds whatever happens: what stands there now is what counts.
    for (const [name, text] of files) {
      if (await read(root, folder, `/etc/${name}`) !== text) {
        throw failed(`writing /etc/${name} into ${root}`, "debugfs", lines);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function read(root: string, folder: string, path: string): Promise<string> {
  const copy = `${folder}/copy`;
  await Deno.remove(copy).catch(() => {});
  const { lines } = await run("debugfs", ["-R", `dump ${path} copy`, root], { cwd: folder });
  try {
    return await Deno.readTextFile(copy);
  } catch {
    throw failed(`reading ${path} from ${root}`, "debugfs", lines);
  }
}

function withHashes(shadow: string, hashes: ReadonlyMap<string, string>): string {
  const missing = new Set(hashes.keys());
  const lines = shadow.split("\n").map((line) => {
    const [user = "", , ...rest] = line.split(":");
    const hash = hashes.get(user);
    if (hash === undefined) return line;
    missing.delete(user);
    return [user, hash, ...rest].join(":");
  });
  const [first] = missing;
  if (first === undefined) return lines.join("\n");
  throw new CliError(`the image has no user ${first}`, {
    name: "IMAGE",
    hint: "an imported image has the users that it was built with",
    exit: EXIT.data,
  });
}

/** SHA-512 crypt, made by openssl; the password is seen by nobody in a process list. */
export async function hashPassword(password: string): Promise<string> {
  const lines = await must("hashing a password", "openssl", ["passwd", "-6", "-stdin"], {
    stdin: `${password}\n`,
  });
  const hash = lines.find((line) => line.startsWith("$6$"));
  if (hash !== undefined) return hash;
  throw failed("hashing a password", "openssl", lines);
}
