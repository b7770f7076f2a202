/** CRC-32 as Ethernet, gzip and PNG have it (IEEE 802.3): of the digest of a book. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** Of ASCII text; an unsigned number of 32 bits. */
export function crc32(text: string): number {
  let sum = 0xffffffff;
  for (let place = 0; place < text.length; place += 1) {
    sum = (TABLE[(sum ^ text.charCodeAt(place)) & 0xff] ?? 0) ^ (sum >>> 8);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
