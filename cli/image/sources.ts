// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The package sources of this machine, narrowed to one release of Debian: the
 * image is built from what its owner has chosen, with the keys that sign it.
 * Both of apt's formats are read. Called by build.ts.
 */
import { CliError, EXIT } from "../ui/errors.ts";

/** Files for mmdebstrap, and the keyrings that they name. */
export interface Sources {
  /** One-line format; may be empty. */
  list: string;
  /** deb822 format; may be empty. */
  deb822: string;
  keyrings: string[];
}

const RELEASES = ["bullseye", "bookworm", "trixie", "forky", "sid"];
const POCKETS = ["", "-updates", "-security"];

/** `etc` is /etc/apt, but for tests. */
export async function sourcesFor(distribution: string, etc = "/etc/apt"): Promise<Sources> {
  const texts = await readAll(etc);
  for (const release of [distribution, ...RELEASES]) {
    const found = narrow(texts, release, distribution);
    if (found.list !== "" || found.deb822 !== "") return found;
  }
  throw new CliError(`this machine has no package sources of Debian, so no ${distribution}`, {
    name: "SOURCES",
    hint: `add Debian's ${distribution} to ${etc}/sources.list, or import an image that was ` +
      "built elsewhere: colinux image import",
    exit: EXIT.unavailable,
  });
}

async function readAll(etc: string): Promise<{ name: string; text: string }[]> {
  const names = [`${etc}/sources.list`];
  try {
    for await (const entry of Deno.readDir(`${etc}/sources.list.d`)) {
      if (/\.(list|sources)$/.test(entry.name)) names.push(`${etc}/sources.list.d/${entry.name}`);
    }
  } catch {
    // The folder is optional.
  }
  const texts: { name: string; text: string }[] = [];
  for (const name of names.sort()) {
    try {
      texts.push({ name, text: await Deno.readTextFile(name) });
    } catch {
      // So is each file.
    }
  }
  return texts;
}

/** Suites of `release`, called those of `distribution`. */
function narrow(
  texts: readonly { name: string; text: string }[],
  release: string,
  distribution: string,
): Sources {
  const rename = (suite: string) => {
    const pocket = suite.slice(release.length);
    return suite.startsWith(release) && POCKETS.includes(pocket)
      ? distribution + pocket
      : undefined;
  };
  const found: Sources = { list: "", deb822: "", keyrings: [] };
  for (const { name, text } of texts) {
    if (name.endsWith(".sources")) {
      for (const stanza of text.split(/\n(?:[ \t]*\n)+/)) deb822(stanza, rename, found);
    } else {
      for (const line of text.split("\n")) oneLine(line, rename, found);
    }
  }
  return found;
}

type Rename = (suite: string) => string | undefined;

function oneLine(line: string, rename: Rename, found: Sources): void {
  const match = /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
  if (match === null) return;
  const [, options = "", uri = "", suite = "", components = ""] = match;
  const renamed = rename(suite);
  if (renamed === undefined) return;
  found.list += `deb ${options}${uri} ${renamed} ${components.trim()}\n`;
  keyrings(/signed-by=([^\s\]]+)/.exec(options)?.[1], found);
}

function deb822(stanza: string, rename: Rename, found: Sources): void {
  const fields = new Map<string, string>();
  let last = "";
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const [, key = "", value = ""] = /^([A-Za-z][A-Za-z-]*):[ \t]*(.*)$/.exec(line) ?? [];
    if (key !== "") fields.set(last = key, value);
    else if (last !== "" && /^[ \t]/.test(line)) {
      fields.set(last, `${fields.get(last)}\n${line}`);
    }
  }
  const words = (key: string) => (fields.get(key) ?? "").split(/\s+/).filter((word) => word !== "");
  const suites = words("Suites").map(rename).filter((suite) => suite !== undefined);
  if (suites.length === 0 || !words("Types").includes("deb")) return;
  if (/^(no|false|0|off)$/i.test(fields.get("Enabled") ?? "")) return;
  fields.set("Types", "deb");
  fields.set("Suites", suites.join(" "));
  const lines = [...fields].map(([key, value]) => `${key}: ${value}\n`);
  found.deb822 += (found.deb822 === "" ? "" : "\n") + lines.join("");
  keyrings(fields.get("Signed-By"), found);
}

/** Paths only: a key may also stand in the stanza itself, or be a fingerprint. */
function keyrings(signedBy: string | undefined, found: Sources): void {
  for (const path of (signedBy ?? "").split(/[\s,]+/)) {
    if (path.startsWith("/") && !found.keyrings.includes(path)) found.keyrings.push(path);
  }
}
