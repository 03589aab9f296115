// SPDX-License-Identifier: GPL-2.0-or-later
/** From what the schema has accepted to a Definition: defaults, units, absolute paths. */
import { parseDuration } from "../ui/duration.ts";
import type {
  BuiltImage,
  Definition,
  DiskDefinition,
  ImageSpec,
  ImageUser,
  NetworkDefinition,
  Source,
} from "./definition.ts";
import { parseForward } from "./forward.ts";
import { DEFAULTS, type DefinitionInput } from "./schema.ts";
import type { DiskInput, NetworkInput } from "./schema_devices.ts";
import { IMAGE_DEFAULTS, type ImageInput } from "./schema_image.ts";
import { HEALTH_DEFAULTS, type HealthInput } from "./schema_life.ts";
import { parseSize } from "./size.ts";

export function resolve(file: string, data: DefinitionInput): Definition {
  const path = (text: string) => absolute(folderOf(file), text);
  const builtin = /^builtin:(.*)$/.exec(data.initrd ?? "")?.[1];
  // The schema has checked the shape; unknown is what lets it report well.
  const kernel = data.kernel as string | { package: string } | undefined;
  const image = data.image as string | ImageInput | undefined;
  const definition: Definition = {
    file,
    name: data.name ?? stem(file),
    memory: bytes(data.memory ?? DEFAULTS.memory),
    vcpus: data.vcpus ?? DEFAULTS.vcpus,
    cmdline: data.cmdline ?? (image === undefined ? DEFAULTS.cmdline : DEFAULTS.imageCmdline),
  };
  if (kernel !== undefined) {
    definition.kernel = typeof kernel === "string" ? { file: path(kernel) } : kernel;
  }
  if (builtin !== undefined) definition.initrd = { builtin };
  else if (data.initrd !== undefined) definition.initrd = { file: path(data.initrd) };
  if (image !== undefined) definition.image = resolveImage(image, path);
  if (data.disks?.length) definition.disks = data.disks.map((disk) => resolveDisk(disk, path));
  const network = resolveNetwork(data.network, image !== undefined);
  if (network !== undefined) definition.network = network;
  if (data.ready !== undefined) definition.ready = data.ready;
  if (data.health !== undefined) definition.health = resolveHealth(data.health);
  if (data.restart !== undefined) definition.restart = data.restart;
  if (data.autostart !== undefined) definition.autostart = data.autostart;
  if (data.message !== undefined) definition.message = data.message;
  return definition;
}

function resolveImage(image: string | ImageInput, path: (text: string) => string): ImageSpec {
  if (typeof image === "string") return { file: path(image) };
  const built: BuiltImage = {
    distribution: image.distribution ?? IMAGE_DEFAULTS.distribution,
    size: bytes(image.size ?? IMAGE_DEFAULTS.size),
    kernel: image.kernel ?? IMAGE_DEFAULTS.kernel,
    packages: image.packages ?? [],
    debconf: image.debconf ?? [],
    files: {},
    users: {},
    scripts: (image.scripts ?? []).map((script): Source =>
      isInline(script) ? { text: script } : { file: path(script) }
    ),
  };
  for (const [name, entry] of Object.entries(image.files ?? {})) {
    const source = entry.from === undefined ? { text: entry.text ?? "" } : {
      file: path(entry.from),
    };
    built.files[name] = {
      ...source,
      mode: entry.mode ?? "0644",
      owner: entry.owner ?? "root:root",
    };
  }
  for (const [name, entry] of Object.entries(image.users ?? {})) {
    const user: ImageUser = { shell: entry.shell ?? "/bin/bash", groups: entry.groups ?? [] };
    if (entry.password !== undefined) user.password = entry.password;
    built.users[name] = user;
  }
  return built;
}

/** A script that stands in the definition itself, not in a file. */
export function isInline(script: string): boolean {
  return script.startsWith("#!") || script.includes("\n");
}

function resolveDisk(disk: DiskInput, path: (text: string) => string): DiskDefinition {
  const resolved: DiskDefinition = {
    name: disk.name,
    format: disk.format ?? "ext4",
    readOnly: disk.readOnly ?? false,
  };
  if (disk.persistentGrants === true) resolved.persistentGrants = true;
  if (disk.size !== undefined) resolved.size = bytes(disk.size);
  if (disk.mount !== undefined) resolved.mount = disk.mount;
  if (disk.path !== undefined) resolved.path = path(disk.path);
  return resolved;
}

function resolveNetwork(
  network: NetworkInput | undefined,
  image: boolean,
): NetworkDefinition | undefined {
  const mode = network?.mode ?? (network !== undefined || image ? "nat" : "none");
  if (mode === "none") return undefined;
  const resolved: NetworkDefinition = { mode, forwards: [] };
  for (const text of network?.forwards ?? []) {
    const parsed = parseForward(text);
    if ("forward" in parsed) resolved.forwards.push(parsed.forward);
  }
  if (network?.tap !== undefined) resolved.tap = network.tap;
  if (network?.mac !== undefined) resolved.mac = network.mac.toLowerCase();
  return resolved;
}

function resolveHealth(health: HealthInput): NonNullable<Definition["health"]> {
  return {
    intervalMs: parseDuration(health.interval ?? HEALTH_DEFAULTS.interval) ?? 0,
    timeoutMs: parseDuration(health.timeout ?? HEALTH_DEFAULTS.timeout) ?? 0,
    failures: health.failures ?? HEALTH_DEFAULTS.failures,
    restart: health.restart ?? HEALTH_DEFAULTS.restart,
  };
}

function bytes(size: string | number): number {
  const parsed = parseSize(size);
  return "bytes" in parsed ? parsed.bytes : 0;
}

/** mailserver for /x/mailserver.jsonc. */
export function stem(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.jsonc?$/, "");
}

export function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/")) || "/";
}

export function absolute(folder: string, path: string): string {
  return path.startsWith("/") ? path : `${folder === "/" ? "" : folder}/${path}`;
}
