//! One entry of a market data message (volume 3, NoMDEntries 268), and what it takes over from the entry before.

use super::book::Action;
use super::fields::{Field, number};
use super::time;
use crate::decimal::Decimal;

/// The fields of an entry, as far as they are used; texts are empty where the field is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    pub action: Option<Action>,
    pub kind: u8,
    pub symbol: &'a [u8],
    pub security_id: &'a [u8],
    pub price: Option<Decimal>,
    pub size: Option<(Decimal, bool)>,
    pub id: &'a [u8],
    pub replaced: &'a [u8],
    pub trade_id: &'a [u8],
    pub position: Option<usize>,
    pub orders: Option<u32>,
    pub rpt_seq: Option<u64>,
    /// TransactTime (60).
    pub transact: Option<i64>,
    /// MDEntryDate (272) as its midnight, MDEntryTime (273) in the day.
    pub date: Option<i64>,
    pub time: Option<i64>,
    pub conditions: &'a [u8],
    pub session_sub: &'a [u8],
    pub trade_type: &'a [u8],
    /// 1 = buyer, 2 = seller.
    pub aggressor: u8,
    /// OpenCloseSettlFlag (286).
    pub close_flag: &'a [u8],
    has_trade_id: bool,
}

pub type Reason = &'static str;

const fn action(code: &[u8]) -> Option<Action> {
    Some(match code {
        b"0" => Action::New,
        b"1" => Action::Change,
        b"2" => Action::Delete,
        b"3" => Action::DeleteThru,
        b"4" => Action::DeleteFrom,
        b"5" => Action::Overlay,
        _ => return None,
    })
}

impl<'a> Entry<'a> {
    /// What the next entry begins with: fields that it may leave out because they are those of the entry before.
    #[must_use]
    pub fn inherited(&self) -> Self {
        Self {
            action: self.action,
            kind: self.kind,
            symbol: self.symbol,
            security_id: self.security_id,
            transact: self.transact,
            date: self.date,
            time: self.time,
            session_sub: self.session_sub,
            ..Self::default()
        }
    }

    /// Takes a field; false = it is none of an entry.
    ///
    /// # Errors
    /// The value is not what the field may hold.
    #[inline]
    pub fn take(&mut self, field: Field<'a>) -> Result<bool, Reason> {
        let value = field.value;
        match field.tag {
            279 => {
                self.action = Some(action(value).ok_or("MDUpdateAction (279) is none of 0 to 5")?)
            }
            269 => {
                let [kind] = *value else {
                    return Err("MDEntryType (269) is not one character");
                };
                self.kind = kind;
            }
            270 => {
                self.price = Some(
                    Decimal::parse(value).map_err(|_| "MDEntryPx (270) is no price that fits")?,
                )
            }
            271 => {
                let (size, exact) =
                    Decimal::parse_rounded(value).map_err(|_| "MDEntrySize (271) is no number")?;
                if size.mantissa < 0 {
                    return Err("MDEntrySize (271) is below 0");
                }
                self.size = Some((size, exact));
            }
            // an instrument's own fields name it together: another symbol makes an inherited id void, and the reverse
            55 => {
                if self.symbol != value {
                    self.security_id = b"";
                }
                self.symbol = value;
            }
            48 => {
                if self.security_id != value && !self.security_id.is_empty() {
                    self.symbol = b"";
                }
                self.security_id = value;
            }
            278 => self.id = value,
            280 => self.replaced = value,
            1003 => (self.trade_id, self.has_trade_id) = (value, true),
            880 if !self.has_trade_id => self.trade_id = value,
            1023 | 290 => {
                let position = number(value).and_then(|position| usize::try_from(position).ok());
                self.position = Some(
                    position
                        .ok_or("MDPriceLevel (1023) or MDEntryPositionNo (290) is no number")?,
                );
            }
            346 => {
                let orders = number(value).ok_or("NumberOfOrders (346) is no number")?;
                self.orders = Some(u32::try_from(orders).unwrap_or(u32::MAX));
            }
            83 => self.rpt_seq = Some(number(value).ok_or("RptSeq (83) is no number")?),
            _ => return self.take_rare(field),
        }
        Ok(true)
    }

    fn take_rare(&mut self, field: Field<'a>) -> Result<bool, Reason> {
        let value = field.value;
        match field.tag {
            60 => {
                self.transact = Some(time::timestamp(value).ok_or("TransactTime (60) is no time")?)
            }
            272 => self.date = Some(time::timestamp(value).ok_or("MDEntryDate (272) is no date")?),
            273 => self.time = Some(time::utc_time(value).ok_or("MDEntryTime (273) is no time")?),
            277 => self.conditions = value,
            625 => self.session_sub = value,
            828 => self.trade_type = value,
            2446 | 5797 => {
                self.aggressor = match value {
                    b"1" => 1,
                    b"2" => 2,
                    _ => 0,
                };
            }
            286 => self.close_flag = value,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// When it happened, by the most precise word there is; `sending_ns` stands in for what is missing.
    #[must_use]
    pub fn ts_event(&self, message: &Self, sending_ns: i64) -> i64 {
        if let Some(time) = self.transact.or(message.transact) {
            return time;
        }
        let date = self.date.or(message.date);
        match (date, self.time.or(message.time)) {
            (Some(date), Some(time)) => date + time,
            (None, Some(time)) if sending_ns != 0 => time::nearest(sending_ns, time),
            _ => sending_ns,
        }
    }
}
