// SPDX-License-Identifier: GPL-2.0-or-later
/** What may stand between braces in the lines of "message"; vm/message.ts fills it in. */
export const PLACEHOLDER = /\{(address|host|port|password|password-of|fingerprint) ([^{} ]+)\}/g;
