//! Books and bars on the link: a snapshot, then what changed of it, each class of a channel for itself.

use super::encode::{body, digits_of, place};
use super::message::{LIST_MAX, LinkError, channel_of, check_class, class_of, owner_kind};
use super::wire::{Fields, Wire};
use crate::hub::{CHANNEL_BARS_1S, CHANNEL_BOOK_5, CHANNEL_BOOK_10, CHANNEL_BOOK_50, Stamp};
use crate::latest::{Amount, Bar, BookFrame, Level, Price};
use crate::record::state;

/// Bars that a mirror keeps of an interval.
pub(super) const BARS_MAX: usize = 128;

/// A snapshot where the frame has a state, else a change.
pub fn write_book(out: &mut Vec<u8>, stamp: Stamp, frame: &BookFrame<'_>) {
    let channel = match frame.depth {
        5 => CHANNEL_BOOK_5,
        10 => CHANNEL_BOOK_10,
        _ => CHANNEL_BOOK_50,
    };
    body(out, owner_kind::BOOK, |wire| {
        place(wire, stamp);
        wire.number(5, channel.into());
        if let Some(state) = frame.state {
            wire.some_number(6, state.into());
        }
        wire.signed(7, frame.timestamp_ns);
        wire.number(8, frame.time_precision.into());
        if let Some(digest) = frame.digest {
            wire.some_number(9, digest.into());
        }
        for (number, levels) in [(10, frame.bids), (11, frame.asks)] {
            for level in levels {
                wire.nested(number, |wire| {
                    wire.price(1, Some(level.price));
                    wire.amount(2, Some(level.size));
                });
            }
        }
    });
}

/// Bars of a channel: the recent ones (`is_whole`), or those that changed.
pub fn write_bars(out: &mut Vec<u8>, stamp: Stamp, channel: u8, bars: &[Bar], is_whole: bool) {
    body(out, owner_kind::BARS, |wire| {
        place(wire, stamp);
        wire.number(5, channel.into());
        wire.number(6, is_whole.into());
        for bar in bars {
            wire.nested(7, |wire| write_bar(wire, bar));
        }
    });
}

fn write_bar(wire: &mut Wire<'_>, bar: &Bar) {
    wire.signed(1, bar.start_ns);
    for (number, value) in (2..).zip([bar.open, bar.high, bar.low, bar.close]) {
        wire.price(number, Some(value));
    }
    wire.amount(6, Some(bar.volume));
    wire.amount(7, bar.notional);
    wire.number(8, bar.trades.into());
    wire.number(9, bar.is_final.into());
    wire.number(10, bar.is_corrected.into());
}

/// A frame of a book.
#[derive(Debug, Default)]
pub(super) struct ToldBook {
    pub topic: u32,
    pub class: u8,
    pub epoch: u64,
    pub seq: u64,
    pub channel: u8,
    pub state: Option<u8>,
    pub timestamp_ns: i64,
    pub time_precision: u8,
    pub digest: Option<u32>,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl ToldBook {
    pub fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut told = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => told.topic = value.small()?,
                2 => told.class = class_of(value)?,
                3 => told.epoch = value.number()?,
                4 => told.seq = value.number()?,
                5 => told.channel = channel_of(value)?,
                6 => {
                    let number: u8 = value.small()?;
                    if usize::from(number) >= state::NAMES.len() {
                        return Err(LinkError(format!("expected a state, found {number}")));
                    }
                    told.state = Some(number);
                }
                7 => told.timestamp_ns = value.signed()?,
                8 => told.time_precision = digits_of(value)?,
                9 => told.digest = Some(value.small()?),
                10 => told.bids.push(level(value.bytes()?)?),
                11 => told.asks.push(level(value.bytes()?)?),
                _ => {}
            }
        }
        if !(CHANNEL_BOOK_5..CHANNEL_BARS_1S).contains(&told.channel) {
            return Err(LinkError(format!(
                "expected a channel of books, found {}",
                told.channel
            )));
        }
        check_class(told.channel, told.class)?;
        Ok(told)
    }
}

fn level(message: &[u8]) -> Result<Level, LinkError> {
    let mut level = Level {
        price: Price::default(),
        size: Amount::default(),
    };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => level.price = value.price()?,
            2 => level.size = value.amount()?,
            _ => {}
        }
    }
    Ok(level)
}

/// A frame of bars.
#[derive(Debug, Default)]
pub(super) struct ToldBars {
    pub topic: u32,
    pub class: u8,
    pub epoch: u64,
    pub seq: u64,
    pub channel: u8,
    pub is_whole: bool,
    pub bars: Vec<Bar>,
}

impl ToldBars {
    pub fn read(message: &[u8]) -> Result<Self, LinkError> {
        let mut told = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match number {
                1 => told.topic = value.small()?,
                2 => told.class = class_of(value)?,
                3 => told.epoch = value.number()?,
                4 => told.seq = value.number()?,
                5 => told.channel = channel_of(value)?,
                6 => told.is_whole = value.number()? != 0,
                7 if told.bars.len() < LIST_MAX => told.bars.push(bar(value.bytes()?)?),
                _ => {}
            }
        }
        if told.channel < CHANNEL_BARS_1S {
            return Err(LinkError(format!(
                "expected a channel of bars, found {}",
                told.channel
            )));
        }
        check_class(told.channel, told.class)?;
        Ok(told)
    }
}

fn bar(message: &[u8]) -> Result<Bar, LinkError> {
    let mut bar = Bar {
        start_ns: 0,
        open: Price::default(),
        high: Price::default(),
        low: Price::default(),
        close: Price::default(),
        volume: Amount::default(),
        notional: None,
        trades: 0,
        is_final: false,
        is_corrected: false,
    };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => bar.start_ns = value.signed()?,
            2 => bar.open = value.price()?,
            3 => bar.high = value.price()?,
            4 => bar.low = value.price()?,
            5 => bar.close = value.price()?,
            6 => bar.volume = value.amount()?,
            7 => bar.notional = Some(value.amount()?),
            8 => bar.trades = value.small()?,
            9 => bar.is_final = value.number()? != 0,
            10 => bar.is_corrected = value.number()? != 0,
            _ => {}
        }
    }
    Ok(bar)
}
