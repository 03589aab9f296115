// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Bad input, as a table: each gives one clear error with the documented exit
 * code, names what is at fault, shows no stack, and leaves nothing behind.
 */
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

interface Row {
  name: string;
  /** The definition; KERNEL stands for a good kernel key. */
  definition?: string;
  args?: string[];
  code: number;
  says: RegExp;
}

const KERNEL = `"kernel": { "package": "linux-image-cloud-amd64" }`;

/** Found without any host. */
const cheap: Row[] = [
  {
    name: "unknown key",
    definition: `{ KERNEL, "memroy": "64 MiB" }`,
    code: 78,
    says: /memroy.*\n?[\s\S]*memory/,
  },
  { name: "not JSON", definition: `{ KERNEL, `, code: 78, says: /:\d+:\d+/ },
  { name: "empty file", definition: "", code: 78, says: /./ },
  { name: "no kernel", definition: `{ "memory": "64 MiB" }`, code: 78, says: /kernel/ },
  { name: "memory 0", definition: `{ KERNEL, "memory": 0 }`, code: 78, says: /memory/ },
  { name: "memory -1", definition: `{ KERNEL, "memory": -1 }`, code: 78, says: /memory/ },
  { name: "memory 1 MiB", definition: `{ KERNEL, "memory": "1 MiB" }`, code: 78, says: /memory/ },
  {
    name: "memory of letters",
    definition: `{ KERNEL, "memory": "much" }`,
    code: 78,
    says: /memory|size/,
  },
  {
    name: "a key twice",
    definition: `{ KERNEL, "memory": "64 MiB", "memory": "65 MiB" }`,
    code: 78,
    says: /memory/,
  },
  {
    name: "two problems at once",
    definition: `{ KERNEL, "memory": 0, "colour": 1 }`,
    code: 78,
    says: /memory[\s\S]*colour|colour[\s\S]*memory/,
  },
  { name: "bad name", definition: `{ KERNEL, "name": "../x" }`, code: 78, says: /name/ },
  { name: "no such file", args: ["up", "/nowhere/x.jsonc"], code: 66, says: /nowhere/ },
  { name: "no such definition", args: ["up", "nosuchvm"], code: 66, says: /nosuchvm/ },
  { name: "unknown verb", args: ["upp"], code: 64, says: /upp/ },
  { name: "unknown option", args: ["ls", "--jsn"], code: 64, says: /jsn/ },
  { name: "too many words", args: ["ls", "a", "b"], code: 64, says: /./ },
  { name: "bad duration", args: ["ls", "--timeout", "soon"], code: 64, says: /soon|timeout/ },
];

/** Found by the helper or the worker. */
const dear: Row[] = [
  { name: "kernel is absent", definition: `{ "kernel": "/nowhere" }`, code: 78, says: /nowhere/ },
  { name: "kernel is text", definition: `{ "kernel": "HOME/text" }`, code: 65, says: /kernel/i },
  {
    name: "kernel is a program",
    definition: `{ "kernel": "/bin/sh" }`,
    code: 65,
    says: /kernel|Xen/i,
  },
  { name: "kernel is cut", definition: `{ "kernel": "HOME/cut" }`, code: 65, says: /kernel/i },
  {
    name: "kernel is corrupted",
    definition: `{ "kernel": "HOME/corrupt" }`,
    code: 65,
    says: /kernel/i,
  },
  {
    name: "kernel is empty",
    definition: `{ "kernel": "HOME/empty" }`,
    code: 78,
    says: /kernel|empty/i,
  },
  {
    name: "package is unknown",
    definition: `{ "kernel": { "package": "linux-image-nosuch" } }`,
    code: 66,
    says: /linux-image-nosuch/,
  },
  {
    name: "initrd is absent",
    definition: `{ KERNEL, "initrd": "/nowhere" }`,
    code: 78,
    says: /nowhere/,
  },
  {
    name: "initrd is too large",
    definition: `{ KERNEL, "initrd": "HOME/large", "memory": "64 MiB" }`,
    code: 65,
    says: /initrd/i,
  },
  {
    name: "a forward from IPv6",
    definition: `{ KERNEL, "network": { "mode": "nat", "forwards": ["[::1]:2525:25"] } }`,
    code: 65,
    says:
      /^colinux: forward \[::1\]:2525:25: the virtual host forwards from IPv4 .*\n +hint: say 127/m,
  },
  {
    name: "too much memory",
    definition: `{ KERNEL, "memory": "900 GiB" }`,
    code: 78,
    says: /memory/i,
  },
];

async function check(box: Sandbox, row: Row): Promise<void> {
  const file = row.definition === undefined ? undefined : await box.write(
    "bad.jsonc",
    row.definition.replace("KERNEL", KERNEL).replace("HOME", box.home),
  );
  const { code, out, err } = await box.colinux(...(row.args ?? ["up", file ?? ""]));
  require(code === row.code, `${row.name}: exit code ${code}, not ${row.code}\n${err}`);
  requireMatch(err, row.says, row.name);
  require(out === "", `${row.name}: something on stdout: ${out}`);
  require(!/^\s+at .*\.ts:\d+/m.test(err), `${row.name}: a stack trace\n${err}`);
}

async function table(name: string, rows: readonly Row[]): Promise<void> {
  await using box = await Sandbox.create(name);
  const problems: string[] = [];
  const image = (await box.run([
    "sh",
    "-c",
    `cat ${BUILD}/cache/kernels/by-package/linux-image-cloud-amd64`,
  ])).out.trim();
  const vmlinuz = await Deno.readFile(`${BUILD}/cache/kernels/${image}/vmlinuz`);
  await Deno.writeFile(`${box.home}/cut`, vmlinuz.subarray(0, vmlinuz.length >> 1));
  vmlinuz.fill(0x5a, vmlinuz.length >> 1, (vmlinuz.length >> 1) + 4096);
  await Deno.writeFile(`${box.home}/corrupt`, vmlinuz);
  await box.write("text", "this is not a kernel\n".repeat(1000));
  await box.write("empty", "");
  await Deno.writeFile(`${box.home}/large`, new Uint8Array(100 << 20));
  for (const row of rows) {
    try {
      await check(box, row);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  require(problems.length === 0, problems.join("\n---\n"));
  // Refused definitions leave no VM and no running host behind.
  const states = await box.states();
  require(Object.keys(states).length === 0, `VMs are left: ${JSON.stringify(states)}`);
}

export const inputTests: E2eTest[] = [
  { name: "bad-definitions", limit: 180, run: () => table("def", cheap) },
  { name: "bad-images", limit: 300, run: () => table("img", dear) },
];
