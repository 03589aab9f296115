// SPDX-License-Identifier: GPL-2.0-or-later
/** Sizes as definitions write them: bytes, or a number and a binary unit. */

const KIB = 1024;
const UNITS: Record<string, number> = {
  B: 1,
  KiB: KIB,
  MiB: KIB ** 2,
  GiB: KIB ** 3,
  TiB: KIB ** 4,
};
export const MIB = KIB ** 2;

export type Size = { bytes: number } | { problem: string };

/** Never throws; `problem` is a sentence about the value. */
export function parseSize(value: string | number): Size {
  if (typeof value === "number") {
    return Number.isSafeInteger(value)
      ? { bytes: value }
      : { problem: "a number of bytes must be a whole number" };
  }
  const match = /^\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(value);
  if (match === null) return { problem: `"${value}" is not a size such as "256 MiB"` };
  const [, digits = "", unit = ""] = match;
  const factor = UNITS[unit];
  if (factor === undefined) return { problem: unknownUnit(digits, unit) };
  const bytes = Number(digits) * factor;
  return Number.isSafeInteger(bytes)
    ? { bytes }
    : { problem: `"${value}" is not a whole number of bytes` };
}

function unknownUnit(digits: string, unit: string): string {
  if (unit === "") return `"${digits}" has no unit: did you mean "${digits} MiB"?`;
  const letter = unit[0]?.toUpperCase() ?? "";
  const meant = Object.keys(UNITS).find((known) => known !== "B" && known[0] === letter);
  const units = "KiB, MiB, GiB or TiB";
  return meant === undefined
    ? `unknown unit "${unit}": use ${units}`
    : `unknown unit "${unit}": did you mean "${digits} ${meant}"? (${units})`;
}

export function showSize(bytes: number): string {
  let best = "B";
  for (const [unit, factor] of Object.entries(UNITS)) {
    if (Math.abs(bytes) >= factor) best = unit;
  }
  const value = bytes / (UNITS[best] ?? 1);
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${best}`;
}
