//! Views of the binary messages: no copies; every field is read from the wire when it is asked for.
//!
//! One table declares each message's type, least length and fields. All numbers are little-endian. Later editions append
//! fields (the trade condition of options, participant and customer of an expanded order): a message that is longer than
//! the table says is read as far as it is known, as the specification demands; a shorter one is damaged. Fields behind a
//! semicolon are in the longer forms only.

use crate::itch::Value;
use crate::listing::trim;

/// A price with 2 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price2(pub u16);

/// A price with 4 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price4(pub u64);

impl From<Price2> for Price4 {
    fn from(price: Price2) -> Self {
        Self(u64::from(price.0) * 100)
    }
}

/// A letter of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter(pub u8);

/// How a type of field is read.
trait Field<'a>: Sized {
    const SIZE: usize;
    fn read(bytes: &'a [u8], offset: usize) -> Self;
    fn value(self) -> Value<'a>;
}

#[inline(always)]
fn array<const N: usize>(bytes: &[u8], offset: usize) -> &[u8; N] {
    // The views hold arrays of at least the least length and the offsets are constants: the check folds away.
    bytes[offset..]
        .first_chunk::<N>()
        .expect("the table's offsets lie within the message")
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl<'a> Field<'a> for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline(always)]
            fn read(bytes: &'a [u8], offset: usize) -> Self {
                Self::from_le_bytes(*array(bytes, offset))
            }
            fn value(self) -> Value<'a> {
                Value::Number(self.into())
            }
        }
    )*};
}
number!(u8, u16, u32, u64);

impl<'a> Field<'a> for Letter {
    const SIZE: usize = 1;
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        Self(bytes[offset])
    }
    fn value(self) -> Value<'a> {
        Value::Letter(self.0)
    }
}

impl<'a> Field<'a> for Price2 {
    const SIZE: usize = 2;
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        Self(u16::read(bytes, offset))
    }
    fn value(self) -> Value<'a> {
        Value::Price(self.0.into(), 2)
    }
}

impl<'a> Field<'a> for Price4 {
    const SIZE: usize = 8;
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        Self(u64::read(bytes, offset))
    }
    fn value(self) -> Value<'a> {
        Value::Price(self.0, 4)
    }
}

impl<'a, const N: usize> Field<'a> for &'a [u8; N] {
    const SIZE: usize = N;
    #[inline(always)]
    fn read(bytes: &'a [u8], offset: usize) -> Self {
        array(bytes, offset)
    }
    fn value(self) -> Value<'a> {
        Value::Text(trim(self))
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    UnknownType,
    WrongLength,
}

impl Fault {
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown type",
            Self::WrongLength => "too short for its type",
        }
    }
}

macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $name:ident $code:literal $length:literal {
            $($field:ident: $type:ty = $offset:literal),* $(; $($late:ident: $late_type:ty = $late_offset:literal),*)?
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name<'a>(&'a [u8; $length], &'a [u8]);

            impl<'a> $name<'a> {
                /// Least bytes of the message, its length and type included.
                pub const LENGTH: usize = $length;

                $(
                    #[inline(always)]
                    #[must_use]
                    pub fn $field(self) -> $type {
                        Field::read(self.0, $offset)
                    }
                )*

                /// The whole message.
                #[must_use]
                pub const fn bytes(self) -> &'a [u8] {
                    self.1
                }

                fn visit(self, visit: &mut dyn FnMut(&'static str, Value<'a>)) {
                    $(visit(stringify!($field), Field::value(self.$field()));)*
                    $($(
                        if self.1.len() >= $late_offset + <$late_type as Field<'a>>::SIZE {
                            visit(stringify!($late), <$late_type as Field<'a>>::read(self.1, $late_offset).value());
                        }
                    )*)?
                }
            }
        )*

        /// Any message.
        #[derive(Clone, Copy, Debug)]
        pub enum Message<'a> {
            $($name($name<'a>),)*
        }

        /// Every type's code, name and least length.
        pub const TYPES: &[(u8, &str, usize)] = &[$(($code, stringify!($name), $length)),*];

        impl<'a> Message<'a> {
            /// Views bytes (length and type first) as the message that their second byte says.
            ///
            /// # Errors
            /// Unknown type, or shorter than the type's least length.
            #[inline]
            pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
                match bytes.get(1) {
                    $(
                        Some(&$code) => match bytes.first_chunk() {
                            Some(least) => Ok(Self::$name($name(least, bytes))),
                            None => Err(Fault::WrongLength),
                        },
                    )*
                    Some(_) => Err(Fault::UnknownType),
                    None => Err(Fault::WrongLength),
                }
            }

            /// The type's name in the specification, without spaces.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// The type's code.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name(_) => $code,)*
                }
            }

            /// Hands each field to `visit`, in wire order.
            pub fn visit(self, visit: &mut dyn FnMut(&'static str, Value<'a>)) {
                match self {
                    $(Self::$name(message) => message.visit(visit),)*
                }
            }
        }
    };
}

messages! {
    // Time, and orders.
    /// Seconds since midnight in New York: the base of the unit's time offsets from here on.
    Time 0x20 6 { time: u32 = 2 }
    AddOrderLong 0x21 34 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u32 = 15,
        symbol: &'a [u8; 6] = 19, price: Price4 = 25, add_flags: u8 = 33
    }
    AddOrderShort 0x22 26 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u16 = 15,
        symbol: &'a [u8; 6] = 17, price: Price2 = 23, add_flags: u8 = 25
    }
    AddOrderExpanded 0x2f 36 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u32 = 15,
        symbol: &'a [u8; 8] = 19, price: Price4 = 27, add_flags: u8 = 35;
        participant_id: &'a [u8; 4] = 36, customer_indicator: Letter = 40, client_id: &'a [u8; 4] = 41
    }
    OrderExecuted 0x23 26 {
        time_offset: u32 = 2, order_id: u64 = 6, executed_quantity: u32 = 14, execution_id: u64 = 18;
        trade_condition: Letter = 26
    }
    OrderExecutedAtPriceSize 0x24 38 {
        time_offset: u32 = 2, order_id: u64 = 6, executed_quantity: u32 = 14, remaining_quantity: u32 = 18,
        execution_id: u64 = 22, price: Price4 = 30;
        trade_condition: Letter = 38
    }
    ReduceSizeLong 0x25 18 { time_offset: u32 = 2, order_id: u64 = 6, canceled_quantity: u32 = 14 }
    ReduceSizeShort 0x26 16 { time_offset: u32 = 2, order_id: u64 = 6, canceled_quantity: u16 = 14 }
    ModifyOrderLong 0x27 27 {
        time_offset: u32 = 2, order_id: u64 = 6, quantity: u32 = 14, price: Price4 = 18, modify_flags: u8 = 26
    }
    ModifyOrderShort 0x28 19 {
        time_offset: u32 = 2, order_id: u64 = 6, quantity: u16 = 14, price: Price2 = 16, modify_flags: u8 = 18
    }
    DeleteOrder 0x29 14 { time_offset: u32 = 2, order_id: u64 = 6 }
    // Trades against orders that were not displayed, and routed ones.
    TradeLong 0x2a 41 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u32 = 15,
        symbol: &'a [u8; 6] = 19, price: Price4 = 25, execution_id: u64 = 33;
        trade_condition: Letter = 41
    }
    TradeShort 0x2b 33 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u16 = 15,
        symbol: &'a [u8; 6] = 17, price: Price2 = 23, execution_id: u64 = 25;
        trade_condition: Letter = 33
    }
    TradeExpanded 0x30 43 {
        time_offset: u32 = 2, order_id: u64 = 6, side_indicator: Letter = 14, quantity: u32 = 15,
        symbol: &'a [u8; 8] = 19, price: Price4 = 27, execution_id: u64 = 35;
        trade_condition: Letter = 43
    }
    TradeBreak 0x2c 14 { time_offset: u32 = 2, execution_id: u64 = 6 }
    // The unit and its symbols.
    EndOfSession 0x2d 6 { time_offset: u32 = 2 }
    UnitClear 0x97 6 { time_offset: u32 = 2 }
    /// Options: what a six-character symbol of the feed stands for; unsequenced.
    SymbolMapping 0x2e 30 {
        symbol: &'a [u8; 6] = 2, osi_symbol: &'a [u8; 21] = 8, symbol_condition: Letter = 29;
        underlying: &'a [u8; 8] = 30
    }
    TradingStatus 0x31 18 {
        time_offset: u32 = 2, symbol: &'a [u8; 8] = 6, trading_status: Letter = 14, reg_sho_action: Letter = 15,
        reserved1: Letter = 16, reserved2: Letter = 17
    }
    AuctionUpdate 0x95 47 {
        time_offset: u32 = 2, symbol: &'a [u8; 8] = 6, auction_type: Letter = 14, reference_price: Price4 = 15,
        buy_shares: u32 = 23, sell_shares: u32 = 27, indicative_price: Price4 = 31, auction_only_price: Price4 = 39
    }
    AuctionSummary 0x96 27 {
        time_offset: u32 = 2, symbol: &'a [u8; 8] = 6, auction_type: Letter = 14, price: Price4 = 15, shares: u32 = 23
    }
    RetailPriceImprovement 0x98 15 {
        time_offset: u32 = 2, symbol: &'a [u8; 8] = 6, retail_price_improvement: Letter = 14
    }
    // Options only.
    SoqStrikeRangeUpdate 0x9d 42 {
        time_offset: u32 = 2, soq_identifier: &'a [u8; 20] = 6, lower_strike_price: Price4 = 26,
        upper_strike_price: Price4 = 34
    }
    ConstituentSymbolMapping 0x9e 58 {
        symbol: &'a [u8; 6] = 2, osi_symbol: &'a [u8; 21] = 8, symbol_condition: Letter = 29,
        underlying: &'a [u8; 8] = 30, soq_identifier: &'a [u8; 20] = 38
    }
    AuctionNotification 0xad 43 {
        time_offset: u32 = 2, symbol: &'a [u8; 6] = 6, auction_id: u64 = 12, auction_type: Letter = 20,
        side: Letter = 21, price: Price4 = 22, contracts: u32 = 30, customer_indicator: Letter = 34,
        participant_id: &'a [u8; 4] = 35, auction_end_offset: u32 = 39;
        client_id: &'a [u8; 4] = 43
    }
    AuctionCancel 0xae 14 { time_offset: u32 = 2, auction_id: u64 = 6 }
    AuctionTrade 0xaf 34 {
        time_offset: u32 = 2, auction_id: u64 = 6, execution_id: u64 = 14, price: Price4 = 22, contracts: u32 = 30
    }
    TransactionBegin 0xbc 6 { time_offset: u32 = 2 }
    TransactionEnd 0xbd 6 { time_offset: u32 = 2 }
    OptionsAuctionUpdate 0xd1 64 {
        time_offset: u32 = 2, symbol: &'a [u8; 8] = 6, auction_type: Letter = 14, reference_price: Price4 = 15,
        buy_contracts: u32 = 23, sell_contracts: u32 = 27, indicative_price: Price4 = 31,
        auction_only_price: Price4 = 39, opening_condition: Letter = 47, composite_market_bid_price: Price4 = 48,
        composite_market_offer_price: Price4 = 56
    }
    WidthUpdate 0xd2 19 {
        time_offset: u32 = 2, underlying: &'a [u8; 8] = 6, width_type: Letter = 14, multiplier: u32 = 15
    }
    // The gap request proxy and the spin server, over TCP.
    Login 0x01 22 {
        session_sub_id: &'a [u8; 4] = 2, username: &'a [u8; 4] = 6, filler: &'a [u8; 2] = 10,
        password: &'a [u8; 10] = 12
    }
    LoginResponse 0x02 3 { status: Letter = 2 }
    GapRequest 0x03 9 { unit: u8 = 2, sequence: u32 = 3, count: u16 = 7 }
    GapResponse 0x04 10 { unit: u8 = 2, sequence: u32 = 3, count: u16 = 7, status: Letter = 9 }
    SpinImageAvailable 0x80 6 { sequence: u32 = 2 }
    SpinRequest 0x81 6 { sequence: u32 = 2 }
    SpinResponse 0x82 11 { sequence: u32 = 2, order_count: u32 = 6, status: Letter = 10 }
    SpinFinished 0x83 6 { sequence: u32 = 2 }
    InstrumentDefinitionRequest 0x84 6 { sequence: u32 = 2 }
    InstrumentDefinitionResponse 0x85 11 { sequence: u32 = 2, instrument_count: u32 = 6, status: Letter = 10 }
    InstrumentDefinitionFinished 0x86 6 { sequence: u32 = 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_length_and_may_be_longer() {
        for &(code, name, length) in TYPES {
            let mut bytes = vec![b'A'; length];
            (bytes[0], bytes[1]) = (length as u8, code);
            let message = Message::parse(&bytes).unwrap();
            assert_eq!((message.name(), message.code()), (name, code));
            let mut fields = 0;
            message.visit(&mut |_, _| fields += 1);
            assert!(fields > 0, "{name}");
            assert_eq!(
                Message::parse(&bytes[..length - 1]).unwrap_err(),
                Fault::WrongLength
            );
            bytes.extend_from_slice(b"later fields");
            assert!(Message::parse(&bytes).is_ok());
        }
        assert_eq!(Message::parse(&[2, 0xff]).unwrap_err(), Fault::UnknownType);
        assert_eq!(Message::parse(&[2]).unwrap_err(), Fault::WrongLength);
    }

    #[test]
    fn fields_are_little_endian_and_later_ones_are_read_where_they_are() {
        let mut bytes = vec![27, 0x23];
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(&7_u64.to_le_bytes());
        bytes.extend_from_slice(&100_u32.to_le_bytes());
        bytes.extend_from_slice(&9_u64.to_le_bytes());
        bytes.push(b'S');
        let mut found = Vec::new();
        Message::parse(&bytes)
            .unwrap()
            .visit(&mut |name, value| found.push((name, value)));
        assert_eq!(
            found,
            [
                ("time_offset", Value::Number(1)),
                ("order_id", Value::Number(7)),
                ("executed_quantity", Value::Number(100)),
                ("execution_id", Value::Number(9)),
                ("trade_condition", Value::Letter(b'S')),
            ]
        );
    }
}
