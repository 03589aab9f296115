// SPDX-License-Identifier: GPL-2.0-or-later
/** One machine test; the runner ends it after `limit` seconds. */
export interface MachineTest {
  name: string;
  limit: number;
  soak?: boolean;
  run(): Promise<void>;
}
