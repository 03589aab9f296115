// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { parseForward, showForward } from "./forward.ts";

Deno.test("forwards are read, and written back in one form", () => {
  const forms: [string, string][] = [
    ["127.0.0.1:2525:25", "127.0.0.1:2525:25"],
    ["2525:25", "127.0.0.1:2525:25"],
    ["2525:25/tcp", "127.0.0.1:2525:25"],
    ["0.0.0.0:5353:53/udp", "0.0.0.0:5353:53/udp"],
    ["[::1]:65535:1", "[::1]:65535:1"],
    ["[0:0::0:1]:1:2/udp", "[::1]:1:2/udp"],
    ["[FE80::A]:80:80", "[fe80::a]:80:80"],
  ];
  for (const [text, shown] of forms) {
    const parsed = parseForward(text);
    assert("forward" in parsed, text);
    assert.equal(showForward(parsed.forward), shown);
  }
  assert.deepEqual(parseForward("[::1]:5353:53/udp"), {
    forward: { protocol: "udp", hostAddress: "::1", hostPort: 5353, guestPort: 53 },
  });
});

Deno.test("what is no forward is told why", () => {
  const wrong: [string, RegExp][] = [
    ["", /"" is not a forward such as "127\.0\.0\.1:2525:25"/],
    ["25", /is not a forward/],
    ["1:2:3:4", /is not a forward/],
    ["::1:25:25", /is not a forward/],
    ["2525:25/sctp", /unknown protocol "sctp": a forward is \/tcp or \/udp/],
    ["2525:25/", /unknown protocol ""/],
    ["localhost:2525:25", /"localhost" is not an address .* 127\.0\.0\.1 or \[::1\]/],
    [":2525:25", /"" is not an address/],
    ["127.0.0.256:2525:25", /"127\.0\.0\.256" is not an address/],
    ["[::g]:2525:25", /is not an address/],
    ["[1.2.3.4]:2525:25", /is not an address/],
    ["[::1::]:2525:25", /is not an address/],
    ["[]:2525:25", /is not an address/],
    ["0:25", /"0" is not a port: 1 to 65535/],
    ["2525:65536", /"65536" is not a port/],
    ["2525:025", /"025" is not a port/],
    ["2525:x", /"x" is not a port/],
    ["-1:25", /"-1" is not a port/],
  ];
  for (const [text, expected] of wrong) {
    const parsed = parseForward(text);
    assert("problem" in parsed, text);
    assert.match(parsed.problem, expected);
  }
});
