//! What clients ask for.

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::plan::Plan;

/// The id of the request to watch; no other request has one.
const ID: u64 = 1;

/// `subscribe`, or `reconnect` of a client that was there before.
pub fn watch(client: &Client, plan: &Plan) -> Vec<u8> {
    let mut request = plan.terms.clone();
    let resume: Map<String, Value> = client
        .watches
        .iter()
        .filter(|watch| watch.epoch != 0)
        .map(|watch| {
            (
                plan.symbols[watch.symbol as usize].clone(),
                json!({"epoch": watch.epoch, "seq": watch.seq}),
            )
        })
        .collect();
    if client.was_open && resume.len() == client.watches.len() {
        request.insert("action".into(), "reconnect".into());
        request.insert("resume".into(), Value::Object(resume));
    } else {
        let symbols = client
            .watches
            .iter()
            .map(|watch| plan.symbols[watch.symbol as usize].as_str());
        request.insert("action".into(), "subscribe".into());
        request.insert("symbols".into(), symbols.collect());
    }
    request.insert("id".into(), ID.into());
    plan.codec.write(&Value::Object(request))
}

/// `ping` on the level of the protocol's messages.
pub fn ping(plan: &Plan) -> Vec<u8> {
    plan.codec.write(&json!({"action": "ping"}))
}

/// The opening handshake.
pub fn handshake(plan: &Plan) -> Vec<u8> {
    let access = if plan.token.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {}\r\n", plan.token)
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Protocol: {}\r\n{access}\r\n",
        plan.target,
        plan.host,
        plan.key,
        plan.codec.protocol(),
    )
    .into_bytes()
}
