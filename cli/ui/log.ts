// SPDX-License-Identifier: GPL-2.0-or-later
/** `#log`: LogTape behind one module. Loaded by --verbose only. */
import { configure, getLogger, type Logger, type LogRecord } from "@logtape/logtape";

/** Sends debug lines of every part to `write`. */
export async function startLog(write: (line: string) => void): Promise<Logger> {
  await configure({
    reset: true,
    sinks: { stderr: (record: LogRecord) => write(format(record)) },
    loggers: [
      { category: "colinux", lowestLevel: "debug", sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
  return getLogger("colinux");
}

function format(record: LogRecord): string {
  const text = record.message.map((part) => typeof part === "string" ? part : Deno.inspect(part))
    .join("");
  return `debug ${(performance.now() / 1000).toFixed(3)} ${text}\n`;
}
