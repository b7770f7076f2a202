// How requests and frames are written, by name of the subprotocol.

export const CODECS = {
  json: () => ({
    protocol: "tickcast.json",
    query: "numbers=string&batch=1",
    encode: (request) => JSON.stringify(request),
    decode: (data) => [JSON.parse(data)].flat(),
  }),
};
