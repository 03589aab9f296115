// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * TCP of a guest against the bare virtual host: the same program, the same
 * server on this machine, through the same QEMU user network, taking turns.
 * Wall time, as people wait for it, not instructions: much of it is not ours.
 */
import { NetGuest } from "../e2e/net_guest.ts";
import { median, type Row } from "./table.ts";

/** Ratios of time: half the throughput, three times the round trip. */
const LIMITS = { send: 2, recv: 2, trip: 3 };
const BYTES = 30_000_000;
const TRIPS = 300;
const ROUNDS = 5;

/** An address of this machine's that the virtual host can reach: not its loopback. */
function ownAddress(): string {
  const found = Deno.networkInterfaces()
    .find(({ family, address }) => family === "IPv4" && !address.startsWith("127."));
  if (found === undefined) throw new Error("this machine has no IPv4 address but its loopback");
  return found.address;
}

/** Nanoseconds for a megabyte, or for a round trip. */
function cost(out: string): number {
  const trip = /round trips of ([\d.]+) us/.exec(out)?.[1];
  if (trip !== undefined) return Number(trip) * 1e3;
  return Number(/in ([\d.]+) s/.exec(out)?.[1]) * 1e9 / (BYTES / 1e6);
}

export async function netRows(): Promise<Row[]> {
  await using net = await NetGuest.start("bench", []);
  await net.serveHere();
  const address = ownAddress();
  const row = async (name: keyof typeof LIMITS, what: string, count: number): Promise<Row> => {
    const bares: number[] = [], guests: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      bares.push(cost(await net.inside(what, address, count)));
      guests.push(cost(await net.net(what, address, count)));
    }
    const bare = median(bares), guest = median(guests);
    return { name: `tcp-${name}`, bare, guest, ratio: guest / bare, limit: LIMITS[name] };
  };
  return [
    await row("send", "send", BYTES),
    await row("recv", "recv", BYTES),
    await row("trip", "ping", TRIPS),
  ];
}
