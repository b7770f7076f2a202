//! 35=f, 35=d, 35=y and 35=Y: states, definitions and refusals.

use super::conditions::{halt_reason, trading_state};
use super::decoder::{Decoded, FixDecoder, Subject};
use super::definition::{Definition, text};
use super::entry::Reason;
use super::fields::{Field, Fields, number};
use super::instrument::Stamp;
use super::time;
use crate::decimal::Decimal;
use crate::record::kind;

impl FixDecoder {
    pub(super) fn security_status(
        &mut self,
        fields: Fields<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let (mut symbol, mut security_id): (&[u8], &[u8]) = (b"", b"");
        let (mut status, mut halt, mut note): (Option<u64>, &[u8], &[u8]) = (None, b"", b"");
        let (mut seq, mut sending, mut transact) = (0, 0, None);
        for field in fields {
            let Field { tag, value, .. } = field?;
            match tag {
                34 => seq = number(value).unwrap_or(0),
                52 => sending = time::timestamp(value).ok_or("SendingTime (52) is no time")?,
                60 => {
                    transact = Some(time::timestamp(value).ok_or("TransactTime (60) is no time")?)
                }
                55 => symbol = value,
                48 => security_id = value,
                326 => {
                    status = Some(number(value).ok_or("SecurityTradingStatus (326) is no number")?)
                }
                327 => halt = value,
                58 => note = value,
                _ => {}
            }
        }
        self.end_event(decoded);
        let place = self.resolve(symbol, security_id)?;
        let stamp = Stamp {
            seq,
            ts_event: transact.unwrap_or(sending),
            ..stamp
        };
        if !self.instruments[place].wanted {
            return Ok(());
        }
        self.touch(place, stamp);
        let status = status.unwrap_or(0);
        if let Some(trading) = trading_state(status) {
            self.instruments[place].trading = trading;
            let note = text(note);
            let reason = halt_reason(halt).unwrap_or(&note);
            self.stage_state(
                place,
                stamp,
                Some(reason).filter(|reason| !reason.is_empty()),
            );
        } else {
            let instrument = &mut self.instruments[place];
            let mut row = stamp.bare(instrument.id, kind::NOTICE);
            row.detail = b'f'.into();
            row.id = status;
            instrument.staged.push(row);
        }
        self.end_event(decoded);
        Ok(())
    }

    pub(super) fn security_definition(
        &mut self,
        fields: Fields<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let mut definition = Definition::default();
        let mut seq = 0;
        let mut sending = stamp.ts_recv;
        for field in fields {
            let field = field?;
            match field.tag {
                34 => seq = number(field.value).unwrap_or(0),
                52 => {
                    sending = time::timestamp(field.value).ok_or("SendingTime (52) is no time")?
                }
                _ => definition.take(field),
            }
        }
        self.end_event(decoded);
        let stamp = Stamp {
            seq,
            ts_event: sending,
            ..stamp
        };
        self.define(definition, stamp, decoded)
    }

    pub(super) fn security_list(
        &mut self,
        fields: Fields<'_>,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let mut listed: Vec<Definition> = Vec::new();
        let (mut request, mut result): (&[u8], &[u8]) = (b"", b"");
        let (mut announced, mut delimiter) = (None, 0);
        let (mut last, mut seq, mut sending) = (true, 0, stamp.ts_recv);
        for field in fields {
            let field = field?;
            match field.tag {
                34 => seq = number(field.value).unwrap_or(0),
                52 => {
                    sending = time::timestamp(field.value).ok_or("SendingTime (52) is no time")?
                }
                320 => request = field.value,
                560 => result = field.value,
                893 => last = field.value != b"N",
                10 => {}
                146 => {
                    announced = Some(number(field.value).ok_or("NoRelatedSym (146) is no number")?)
                }
                _ if announced.is_some() => {
                    if delimiter == 0 {
                        delimiter = field.tag;
                    }
                    if field.tag == delimiter {
                        listed.push(Definition {
                            request: text(request),
                            ..Definition::default()
                        });
                    }
                    if let Some(definition) = listed.last_mut() {
                        definition.take(field);
                    }
                }
                _ => {}
            }
        }
        if announced.unwrap_or(0) != listed.len() as u64 {
            return Err("NoRelatedSym (146) is not the number of entries");
        }
        self.end_event(decoded);
        let stamp = Stamp {
            seq,
            ts_event: sending,
            ..stamp
        };
        for definition in listed {
            self.define(definition, stamp, decoded)?;
        }
        let detail = format!("{}{}", if last { 'Y' } else { 'N' }, text(result));
        decoded.tell(Subject::Listed, &text(request), &detail);
        Ok(())
    }

    fn define(
        &mut self,
        definition: Definition,
        stamp: Stamp,
        decoded: &mut Decoded,
    ) -> Result<(), Reason> {
        let latin = |text: &str| text.chars().map(|letter| letter as u8).collect::<Vec<u8>>();
        let place = self.resolve(&latin(&definition.symbol), &latin(&definition.security_id))?;
        let instrument = &mut self.instruments[place];
        if !instrument.wanted {
            return Ok(());
        }
        if let Ok(lot) = Decimal::parse(definition.lot_size.as_bytes())
            && lot.mantissa > 0
        {
            instrument.round_lot = Some(lot);
        }
        if let Ok(depth) = definition.book_depth.parse() {
            instrument.book.depth_max = depth;
        }
        let status = definition.status.parse().ok().and_then(trading_state);
        instrument.trading = status.unwrap_or(instrument.trading);
        if self.options.wait_for_snapshot {
            self.touch(place, stamp);
            self.stage_state(place, stamp, None);
            self.end_event(decoded);
        }
        decoded.definitions.push(definition);
        Ok(())
    }
}

/// A request that the venue does not serve.
pub(super) fn refused(fields: Fields<'_>, decoded: &mut Decoded) -> Result<(), Reason> {
    let (mut request, mut code, mut note): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    for field in fields {
        let Field { tag, value, .. } = field?;
        match tag {
            262 => request = value,
            281 => code = value,
            58 => note = value,
            _ => {}
        }
    }
    decoded.tell(
        Subject::Refused,
        &text(request),
        format!("{} {}", text(code), text(note)).trim(),
    );
    Ok(())
}
