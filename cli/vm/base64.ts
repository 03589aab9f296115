// SPDX-License-Identifier: GPL-2.0-or-later
/** Console bytes in JSON. */

export function base64Bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(text);
}

export function bytesBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}
