// SPDX-License-Identifier: GPL-2.0-or-later
/** `#jsonc`: the JSONC parser and the schema library. Import it lazily: zod doubles start-up. */
export { type Node, parseTree } from "jsonc-parser";
export type { ParseError } from "jsonc-parser";
export { printParseErrorCode } from "jsonc-parser";
export { z } from "zod";
