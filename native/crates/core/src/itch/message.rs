//! Views of the messages: no copies; every field is read from the wire when it is asked for.
//!
//! One table declares each message's letter, length and fields (offset and type, from the specification's section 1),
//! and gives the typed accessors, the parser and the visitor that tools use. All numbers are big-endian.

use crate::listing::trim;

/// A field's value, for tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Letter(u8),
    /// Without the trailing spaces.
    Text(&'a [u8]),
    /// Mantissa and scale.
    Price(u64, u8),
}

/// A price with 4 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price4(pub u32);

/// A price with 8 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price8(pub u64);

/// How a type of field is read.
trait Field<'a>: Sized {
    fn read(bytes: &'a [u8], offset: usize) -> Self;
    fn value(self) -> Value<'a>;
}

#[inline(always)]
fn array<const N: usize>(bytes: &[u8], offset: usize) -> &[u8; N] {
    // The views hold arrays of the message's exact length and the offsets are constants: the check folds away.
    bytes[offset..]
        .first_chunk::<N>()
        .expect("the table's offsets lie within the message")
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl<'a> Field<'a> for $type {
            #[inline(always)]
            fn read(bytes: &'a [u8], offset: usize) -> Self {
                Self::from_be_bytes(*array(bytes, offset))
            }
            fn value(self) -> Value<'a> {
                Value::Number(self.into())
            }
        }
    )*};
}
number!(u16, u32, u64);

impl<'a> Field<'a> for u8 {
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        bytes[offset]
    }
    fn value(self) -> Value<'a> {
        Value::Letter(self)
    }
}

impl<'a> Field<'a> for Price4 {
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        Self(u32::read(bytes, offset))
    }
    fn value(self) -> Value<'a> {
        Value::Price(self.0.into(), 4)
    }
}

impl<'a> Field<'a> for Price8 {
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        Self(u64::read(bytes, offset))
    }
    fn value(self) -> Value<'a> {
        Value::Price(self.0, 8)
    }
}

impl<'a, const N: usize> Field<'a> for &'a [u8; N] {
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        array(bytes, offset)
    }
    fn value(self) -> Value<'a> {
        Value::Text(trim(self))
    }
}

/// Reason of a message whose type is not in the table: perhaps of a later edition, so no sign of damage by itself.
pub const UNKNOWN_TYPE: &str = "unknown type";

/// Stock locate of any message.
#[inline(always)]
fn stock_locate(bytes: &[u8]) -> u16 {
    u16::read(bytes, 1)
}

/// Nanoseconds since midnight of any message.
#[inline(always)]
fn timestamp(bytes: &[u8]) -> u64 {
    u64::from(u16::read(bytes, 5)) << 32 | u64::from(u32::read(bytes, 7))
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Empty,
    UnknownType,
    WrongLength,
}

impl Fault {
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty message",
            Self::UnknownType => UNKNOWN_TYPE,
            Self::WrongLength => "wrong length for its type",
        }
    }
}

macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $name:ident $letter:literal $length:literal { $($field:ident: $type:ty = $offset:literal),* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name<'a>(&'a [u8; $length]);

            impl<'a> $name<'a> {
                /// Bytes of the message.
                pub const LENGTH: usize = $length;

                $(
                    #[inline(always)]
                    #[must_use]
                    pub fn $field(self) -> $type {
                        Field::read(self.0, $offset)
                    }
                )*

                #[inline(always)]
                #[must_use]
                pub fn stock_locate(self) -> u16 {
                    stock_locate(self.0)
                }

                /// The message's bytes.
                #[must_use]
                pub const fn bytes(self) -> &'a [u8; $length] {
                    self.0
                }

                fn visit(self, visit: &mut dyn FnMut(&'static str, Value<'a>)) {
                    $(visit(stringify!($field), Field::value(self.$field()));)*
                }
            }
        )*

        /// Any message.
        #[derive(Clone, Copy, Debug)]
        pub enum Message<'a> {
            $($name($name<'a>),)*
        }

        /// Every type's letter and length.
        pub const TYPES: &[(u8, usize)] = &[$(($letter, $length)),*];

        impl<'a> Message<'a> {
            /// Views bytes as the message that their first letter says.
            ///
            /// # Errors
            /// Unknown type, or another length than the type's.
            #[inline]
            pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
                match bytes.first() {
                    $(
                        Some(&$letter) => {
                            bytes.try_into().map(|bytes| Self::$name($name(bytes))).map_err(|_| Fault::WrongLength)
                        }
                    )*
                    Some(_) => Err(Fault::UnknownType),
                    None => Err(Fault::Empty),
                }
            }

            /// The message's bytes.
            #[must_use]
            pub fn bytes(self) -> &'a [u8] {
                match self {
                    $(Self::$name(message) => message.0,)*
                }
            }

            /// Hands each field to `visit`: those of the header first, then in wire order.
            pub fn visit(self, visit: &mut dyn FnMut(&'static str, Value<'a>)) {
                let bytes = self.bytes();
                visit("type", Value::Letter(bytes[0]));
                visit("stock_locate", Value::Number(stock_locate(bytes).into()));
                visit("tracking_number", Value::Number(u16::read(bytes, 3).into()));
                visit("timestamp", Value::Number(timestamp(bytes)));
                match self {
                    $(Self::$name(message) => message.visit(visit),)*
                }
            }
        }
    };
}

messages! {
    SystemEvent b'S' 12 { event_code: u8 = 11 }
    StockDirectory b'R' 39 {
        stock: &'a [u8; 8] = 11, market_category: u8 = 19, financial_status_indicator: u8 = 20,
        round_lot_size: u32 = 21, round_lots_only: u8 = 25, issue_classification: u8 = 26,
        issue_sub_type: &'a [u8; 2] = 27, authenticity: u8 = 29, short_sale_threshold_indicator: u8 = 30,
        ipo_flag: u8 = 31, luld_reference_price_tier: u8 = 32, etp_flag: u8 = 33, etp_leverage_factor: u32 = 34,
        inverse_indicator: u8 = 38
    }
    StockTradingAction b'H' 25 {
        stock: &'a [u8; 8] = 11, trading_state: u8 = 19, reserved: u8 = 20, reason: &'a [u8; 4] = 21
    }
    RegShoRestriction b'Y' 20 { stock: &'a [u8; 8] = 11, reg_sho_action: u8 = 19 }
    MarketParticipantPosition b'L' 26 {
        mpid: &'a [u8; 4] = 11, stock: &'a [u8; 8] = 15, primary_market_maker: u8 = 23, market_maker_mode: u8 = 24,
        market_participant_state: u8 = 25
    }
    /// Market-wide circuit breaker levels.
    MwcbDeclineLevel b'V' 35 { level_1: Price8 = 11, level_2: Price8 = 19, level_3: Price8 = 27 }
    MwcbStatus b'W' 12 { breached_level: u8 = 11 }
    IpoQuotingPeriod b'K' 28 {
        stock: &'a [u8; 8] = 11, ipo_quotation_release_time: u32 = 19, ipo_quotation_release_qualifier: u8 = 23,
        ipo_price: Price4 = 24
    }
    LuldAuctionCollar b'J' 35 {
        stock: &'a [u8; 8] = 11, auction_collar_reference_price: Price4 = 19, upper_auction_collar_price: Price4 = 23,
        lower_auction_collar_price: Price4 = 27, auction_collar_extension: u32 = 31
    }
    OperationalHalt b'h' 21 { stock: &'a [u8; 8] = 11, market_code: u8 = 19, operational_halt_action: u8 = 20 }
    AddOrder b'A' 36 {
        order_reference_number: u64 = 11, buy_sell_indicator: u8 = 19, shares: u32 = 20, stock: &'a [u8; 8] = 24,
        price: Price4 = 32
    }
    AddOrderAttributed b'F' 40 {
        order_reference_number: u64 = 11, buy_sell_indicator: u8 = 19, shares: u32 = 20, stock: &'a [u8; 8] = 24,
        price: Price4 = 32, attribution: &'a [u8; 4] = 36
    }
    OrderExecuted b'E' 31 { order_reference_number: u64 = 11, executed_shares: u32 = 19, match_number: u64 = 23 }
    OrderExecutedWithPrice b'C' 36 {
        order_reference_number: u64 = 11, executed_shares: u32 = 19, match_number: u64 = 23, printable: u8 = 31,
        execution_price: Price4 = 32
    }
    OrderCancel b'X' 23 { order_reference_number: u64 = 11, cancelled_shares: u32 = 19 }
    OrderDelete b'D' 19 { order_reference_number: u64 = 11 }
    OrderReplace b'U' 35 {
        original_order_reference_number: u64 = 11, new_order_reference_number: u64 = 19, shares: u32 = 27,
        price: Price4 = 31
    }
    /// A trade against an order that was not displayed.
    Trade b'P' 44 {
        order_reference_number: u64 = 11, buy_sell_indicator: u8 = 19, shares: u32 = 20, stock: &'a [u8; 8] = 24,
        price: Price4 = 32, match_number: u64 = 36
    }
    CrossTrade b'Q' 40 {
        shares: u64 = 11, stock: &'a [u8; 8] = 19, cross_price: Price4 = 27, match_number: u64 = 31, cross_type: u8 = 39
    }
    BrokenTrade b'B' 19 { match_number: u64 = 11 }
    NetOrderImbalance b'I' 50 {
        paired_shares: u64 = 11, imbalance_shares: u64 = 19, imbalance_direction: u8 = 27, stock: &'a [u8; 8] = 28,
        far_price: Price4 = 36, near_price: Price4 = 40, current_reference_price: Price4 = 44, cross_type: u8 = 48,
        price_variation_indicator: u8 = 49
    }
    /// Retail price improvement indicator.
    RetailInterest b'N' 20 { stock: &'a [u8; 8] = 11, interest_flag: u8 = 19 }
    /// Price discovery of a direct listing with capital raise.
    DirectListing b'O' 48 {
        stock: &'a [u8; 8] = 11, open_eligibility_status: u8 = 19, minimum_allowable_price: Price4 = 20,
        maximum_allowable_price: Price4 = 24, near_execution_price: Price4 = 28, near_execution_time: u64 = 32,
        lower_price_range_collar: Price4 = 40, upper_price_range_collar: Price4 = 44
    }
}

impl Message<'_> {
    /// Nanoseconds since midnight, Eastern time.
    #[inline]
    #[must_use]
    pub fn timestamp(self) -> u64 {
        timestamp(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_specification_is_there_with_its_length() {
        let mut letters: Vec<u8> = TYPES.iter().map(|&(letter, _)| letter).collect();
        letters.sort_unstable();
        assert_eq!(letters, b"ABCDEFHIJKLNOPQRSUVWXYh");
        for &(letter, length) in TYPES {
            let mut bytes = vec![letter; length];
            let message = Message::parse(&bytes).unwrap();
            let mut end = 0;
            message.visit(&mut |_, _| end += 1);
            assert!(end > 4, "{letter}");
            assert_eq!(Message::parse(&bytes[1..]).unwrap_err(), Fault::WrongLength);
            bytes.push(0);
            assert_eq!(Message::parse(&bytes).unwrap_err(), Fault::WrongLength);
        }
        assert_eq!(Message::parse(b"").unwrap_err(), Fault::Empty);
        assert_eq!(Message::parse(b"zz").unwrap_err(), Fault::UnknownType);
    }

    #[test]
    fn fields_are_big_endian_and_trimmed() {
        let mut bytes = b"A\x00\x0d\x00\x02".to_vec();
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 2]); // 2^32 + 2 ns
        bytes.extend_from_slice(&7_u64.to_be_bytes());
        bytes.push(b'B');
        bytes.extend_from_slice(&100_u32.to_be_bytes());
        bytes.extend_from_slice(b"AAPL    ");
        bytes.extend_from_slice(&1_854_000_u32.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.timestamp(), (1 << 32) + 2);
        let mut found = Vec::new();
        message.visit(&mut |name, value| found.push((name, value)));
        assert_eq!(
            found,
            [
                ("type", Value::Letter(b'A')),
                ("stock_locate", Value::Number(13)),
                ("tracking_number", Value::Number(2)),
                ("timestamp", Value::Number((1 << 32) + 2)),
                ("order_reference_number", Value::Number(7)),
                ("buy_sell_indicator", Value::Letter(b'B')),
                ("shares", Value::Number(100)),
                ("stock", Value::Text(b"AAPL")),
                ("price", Value::Price(1_854_000, 4)),
            ]
        );
    }
}
