// SPDX-License-Identifier: GPL-2.0-or-later
/** The table that `make bench` prints. */

export interface Toggles {
  cr3: number;
  wp: number;
  slow: number;
  passages: number;
}

export interface Row {
  name: string;
  /** Absent where there is nothing bare to compare with. */
  bare?: number;
  guest: number;
  ratio?: number;
  /** Of the ratio. */
  limit?: number;
  /** Of the guest's nanoseconds. */
  goal?: number;
  toggles?: Toggles;
}

export interface Extra {
  monitorBytes: number;
  overheadPages: number;
  ramPages: number;
  roundTrip: number;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function count(n: number): string {
  return n >= 1e9
    ? `${(n / 1e9).toFixed(2)}G`
    : n >= 1e6
    ? `${(n / 1e6).toFixed(2)}M`
    : n >= 1e4
    ? `${(n / 1e3).toFixed(1)}k`
    : n.toFixed(0);
}

function remark({ guest, ratio, limit, goal }: Row): string {
  const seconds = (ns: number) => `${Number((ns / 1e9).toPrecision(3))} s`;
  if (goal !== undefined) {
    return `  ${seconds(guest)}, goal ${seconds(goal)}${guest > goal ? "  OVER ITS GOAL" : ""}`;
  }
  return limit !== undefined && ratio !== undefined && ratio > limit ? "  OVER ITS LIMIT" : "";
}

export function table(rows: readonly Row[], extra: Extra): string[] {
  const lines = [
    "instructions per operation, bare virtual host against guest, protect=wp",
    "operation          bare    guest   ratio   limit     CR3   CR0.WP    slow  passages",
  ];
  for (const row of rows) {
    const t = row.toggles;
    const per = t
      ? `${t.cr3.toFixed(2).padStart(8)}${t.wp.toFixed(2).padStart(9)}${
        t.slow.toFixed(2).padStart(8)
      }` +
        t.passages.toFixed(3).padStart(10)
      : "";
    lines.push(
      row.name.padEnd(14) + (row.bare === undefined ? "-" : count(row.bare)).padStart(9) +
        count(row.guest).padStart(9) + (row.ratio?.toFixed(3) ?? "-").padStart(8) +
        (row.limit?.toFixed(2) ?? "-").padStart(8) + per + remark(row),
    );
  }
  const overhead = extra.overheadPages / extra.ramPages;
  const allowed = 0.03 * extra.ramPages + 512;
  lines.push(
    `round trip guest, host, guest: ${extra.roundTrip} instructions (limit 1000)` +
      (extra.roundTrip > 1000 ? "  OVER ITS LIMIT" : ""),
    `monitor ${extra.monitorBytes} bytes (limit 65536)` +
      (extra.monitorBytes > 65536 ? "  OVER ITS LIMIT" : ""),
    `overhead ${extra.overheadPages} pages for ${extra.ramPages} (${
      (overhead * 100).toFixed(1)
    } %, ` +
      `limit 3 % + 2 MiB)` + (extra.overheadPages > allowed ? "  OVER ITS LIMIT" : ""),
  );
  return lines;
}
