//! Instruments as a venue lists them: SecurityDefinition (35=d) and SecurityList (35=y).

use super::fields::Field;

/// A text of each field that is of use; empty = not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    pub symbol: String,
    pub security_id: String,
    pub id_source: String,
    pub security_type: String,
    pub cfi_code: String,
    pub currency: String,
    pub exchange: String,
    pub description: String,
    pub maturity: String,
    pub strike: String,
    pub put_or_call: String,
    pub tick_size: String,
    pub lot_size: String,
    pub multiplier: String,
    pub status: String,
    pub book_depth: String,
    /// SecurityUpdateAction (980): A, D or M.
    pub action: String,
    pub previous_close: String,
    /// Of the message: SecurityReqID (320), so that a list can be told from another.
    pub request: String,
}

impl Definition {
    /// Names and texts, in the order of the struct.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, &str); 19] {
        [
            ("symbol", &self.symbol),
            ("security_id", &self.security_id),
            ("id_source", &self.id_source),
            ("security_type", &self.security_type),
            ("cfi_code", &self.cfi_code),
            ("currency", &self.currency),
            ("exchange", &self.exchange),
            ("description", &self.description),
            ("maturity", &self.maturity),
            ("strike", &self.strike),
            ("put_or_call", &self.put_or_call),
            ("tick_size", &self.tick_size),
            ("lot_size", &self.lot_size),
            ("multiplier", &self.multiplier),
            ("status", &self.status),
            ("book_depth", &self.book_depth),
            ("action", &self.action),
            ("previous_close", &self.previous_close),
            ("request", &self.request),
        ]
    }

    /// Takes a field if it is one of ours; the first of each counts, since later ones belong to legs and groups.
    pub fn take(&mut self, field: Field<'_>) {
        let place = match field.tag {
            55 => &mut self.symbol,
            48 => &mut self.security_id,
            22 => &mut self.id_source,
            167 => &mut self.security_type,
            461 => &mut self.cfi_code,
            15 => &mut self.currency,
            207 => &mut self.exchange,
            107 => &mut self.description,
            200 => &mut self.maturity,
            202 => &mut self.strike,
            201 => &mut self.put_or_call,
            969 => &mut self.tick_size,
            561 => &mut self.lot_size,
            231 => &mut self.multiplier,
            326 | 965 => &mut self.status,
            264 => &mut self.book_depth,
            980 => &mut self.action,
            140 => &mut self.previous_close,
            320 => &mut self.request,
            _ => return,
        };
        if place.is_empty() {
            *place = text(field.value);
        }
    }
}

/// A value as text: FIX says Latin-1 where nothing else was agreed upon.
pub(super) fn text(value: &[u8]) -> String {
    value.iter().copied().map(char::from).collect()
}
