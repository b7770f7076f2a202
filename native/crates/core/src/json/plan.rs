//! The declaration, compiled: paths in steps, words in bytes, rules as the continuity engine takes them.

mod book;

use super::dialect;
use super::keys::known;
use super::path::{Path, Rows};
use super::read::{Condition, KeyPlan, RowMatch, TimePlan, required, texts};
use crate::books::{self, Rule};
use crate::decimal::Decimal;
use crate::record::kind;
pub use book::BookPlan;
use book::{book, check, rule};
pub use dialect::Party;

/// Trades or liquidations.
#[derive(Debug)]
pub struct TradesPlan {
    pub key: KeyPlan,
    pub price: Path,
    pub size: Path,
    pub id: Option<Path>,
    pub aggressor: Option<AggressorPlan>,
    /// Who was the aggressor where the size is above zero; below zero it was the other.
    pub signed: Option<Party>,
    /// Where its rows are, if elsewhere than those of the message.
    pub rows: Option<Rows>,
    /// Conditions on a row; others are passed over.
    pub only: Box<[RowMatch]>,
    pub time: Option<TimePlan>,
    pub seq: Option<Path>,
    pub history: Box<[RowMatch]>,
    pub chained: bool,
    /// Chained by `seq` in place of the id.
    pub chained_by_seq: bool,
    pub covers: Option<Path>,
    pub kind: u8,
}

/// Trades in an answer over REST.
#[derive(Debug)]
pub struct RestTradesPlan {
    pub when: Box<[RowMatch]>,
    pub rows: Rows,
    pub newest_first: bool,
    /// A row is read by the first whose `only` holds.
    pub trades: Box<[TradesPlan]>,
}

#[derive(Debug)]
pub struct AggressorPlan {
    pub path: Path,
    pub buyer: Box<[Box<[u8]>]>,
    pub seller: Box<[Box<[u8]>]>,
}

#[derive(Debug)]
pub struct QuotesPlan {
    pub key: KeyPlan,
    /// Price and size of the bid, then of the ask.
    pub sides: [(Path, Option<Path>); 2],
    pub time: Option<TimePlan>,
    pub seq: Option<Path>,
    pub whole: bool,
    pub comparable: bool,
}

#[derive(Debug)]
pub enum LevelsPlan {
    Sides {
        bids: Option<Path>,
        asks: Option<Path>,
    },
    Mixed {
        /// `None`: the rows themselves are the levels.
        list: Option<Path>,
        side: SidePlan,
    },
    /// The row itself is one level.
    Alone {
        side: Path,
        words: SideWords,
    },
    Written(WrittenPlan),
}

/// What says the side of a level in a list of both.
#[derive(Debug)]
pub enum SidePlan {
    Words {
        path: Path,
        words: SideWords,
    },
    /// The sign of the size: above zero a bid, below an ask.
    Sign,
}

/// Levels that are texts: side, price and size are parts of each.
#[derive(Debug)]
pub struct WrittenPlan {
    /// One text, or a list of them.
    pub list: Path,
    pub split: Box<[u8]>,
    pub side: usize,
    pub price: usize,
    pub size: usize,
    pub words: SideWords,
}

/// Which texts say bid, and which ask.
#[derive(Debug)]
pub struct SideWords {
    pub bid: Box<[Box<[u8]>]>,
    pub ask: Box<[Box<[u8]>]>,
}

#[derive(Debug)]
pub struct MeasurePlan {
    pub kind: u8,
    pub path: Path,
    pub unit: Option<dialect::TimeUnit>,
    /// The value where nothing stands there.
    pub absent: Option<Decimal>,
}

#[derive(Debug)]
pub struct MeasuresPlan {
    pub key: KeyPlan,
    pub values: Box<[MeasurePlan]>,
    pub time: Option<TimePlan>,
}

#[derive(Debug)]
pub enum EmitPlan {
    Trades(Box<TradesPlan>),
    Quotes(Box<QuotesPlan>),
    Book(Box<BookPlan>),
    Measures(Box<MeasuresPlan>),
}

/// A kind of frame.
#[derive(Debug)]
pub struct MessagePlan {
    pub name: String,
    /// Index of the path among those of [`Plan::probes`], and what must hold of what stands there.
    pub when: Box<[(usize, Condition)]>,
    /// The same of the texts of the binding: index among [`BindingPlan::slots`].
    pub bound: Box<[(usize, Condition)]>,
    pub rows: Rows,
    pub newest_first: bool,
    pub emits: Box<[EmitPlan]>,
    pub market: Option<String>,
    /// Keys of a row that are known; `None`: not watched.
    pub known: Option<Box<[Box<[u8]>]>>,
    /// A row in which one of these texts is not what it was brings the frame before the venue class too.
    pub cold_when_changed: Box<[Path]>,
}

#[derive(Debug)]
pub struct CounterPlan {
    pub path: Path,
    /// Conditions on the frame, as those of messages, and where the number stands if they hold.
    pub places: Box<[CounterPlace]>,
    pub first: Option<i64>,
    /// Missing messages may be trades: nothing else counts those, and they can be fetched.
    pub counts_trades: bool,
}

pub type CounterPlace = (Box<[(usize, Condition)]>, Path);

/// Numbers that events bind to subscriptions.
#[derive(Debug)]
pub struct BindingPlan {
    pub when: Box<[RowMatch]>,
    pub ends: Box<[RowMatch]>,
    /// In an event.
    pub number: Path,
    /// In all other frames.
    pub path: Path,
    /// Paths in the event that conditions and keys read, each once.
    pub slots: Box<[Path]>,
}

/// A whole dialect.
#[derive(Debug)]
pub struct Plan {
    /// Paths of the conditions of all messages, each once.
    pub probes: Box<[Path]>,
    pub messages: Box<[MessagePlan]>,
    pub counter: Option<CounterPlan>,
    pub binding: Option<BindingPlan>,
    /// Whole frames that are no JSON and tell nothing.
    pub plain: Box<[Box<[u8]>]>,
    pub rest_book: Option<BookPlan>,
    pub rest_rows: Option<Path>,
    pub rest_trades: Option<RestTradesPlan>,
    /// Of the books, by kind.
    pub rules: Vec<Rule>,
    pub buffer_max: usize,
    pub packing: dialect::Packing,
    /// Bytes that a packed frame may become.
    pub unpacked_max: usize,
}

/// Adds where in the declaration a refusal belongs.
fn at<T>(place: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|reason| format!("{place}: {reason}"))
}

fn optional(name: &str, text: &str) -> Result<Option<Path>, String> {
    (!text.is_empty())
        .then(|| at(name, required(text)))
        .transpose()
}

fn needed(name: &str, text: &str) -> Result<Path, String> {
    at(name, required(text))
}

fn matches(name: &str, declared: &[dialect::Match]) -> Result<Box<[RowMatch]>, String> {
    declared
        .iter()
        .map(|each| at(name, RowMatch::new(each)))
        .collect()
}

fn time(declared: Option<&dialect::Time>) -> Result<Option<TimePlan>, String> {
    declared
        .map(|time| at("time", TimePlan::new(time)))
        .transpose()
}

fn trades(declared: &dialect::Trades) -> Result<TradesPlan, String> {
    let aggressor = declared.aggressor.as_ref().map(|aggressor| {
        Ok::<_, String>(AggressorPlan {
            path: needed("aggressor", &aggressor.path)?,
            buyer: texts(&aggressor.buyer),
            seller: texts(&aggressor.seller),
        })
    });
    if declared.aggressor.is_some() && declared.signed.is_some() {
        return Err("aggressor: expected either words or the sign of the size, found both".into());
    }
    let by_seq = declared.chained_by == dialect::ChainedBy::Seq;
    if declared.chained && !by_seq && declared.id.is_empty() {
        return Err("id: expected a path, since trades are chained by it, found nothing".into());
    }
    if declared.chained && by_seq && declared.seq.is_empty() {
        return Err("seq: expected a path, since trades are chained by it, found nothing".into());
    }
    Ok(TradesPlan {
        key: at("key", KeyPlan::new(&declared.key))?,
        price: needed("price", &declared.price)?,
        size: needed("size", &declared.size)?,
        id: optional("id", &declared.id)?,
        aggressor: aggressor.transpose()?,
        signed: declared.signed,
        rows: (!declared.rows.is_empty())
            .then(|| at("rows", Rows::new(&declared.rows)))
            .transpose()?,
        only: matches("only", &declared.only)?,
        time: time(declared.time.as_ref())?,
        seq: optional("seq", &declared.seq)?,
        history: matches("history", &declared.history)?,
        chained: declared.chained,
        chained_by_seq: by_seq,
        covers: optional("covers", &declared.covers)?,
        kind: if declared.liquidation {
            kind::LIQUIDATION
        } else {
            kind::TRADE
        },
    })
}

fn rest_trades(declared: &dialect::RestTrades) -> Result<RestTradesPlan, String> {
    Ok(RestTradesPlan {
        when: matches("when", &declared.when)?,
        rows: at("rows", Rows::new(&declared.rows))?,
        newest_first: declared.newest_first,
        trades: core::iter::once(&declared.trades)
            .chain(&declared.or_trades)
            .map(trades)
            .collect::<Result<_, _>>()?,
    })
}

fn quotes(declared: &dialect::Quotes) -> Result<QuotesPlan, String> {
    let bid_size = optional("bid_size", &declared.bid_size)?;
    let ask_size = optional("ask_size", &declared.ask_size)?;
    Ok(QuotesPlan {
        key: at("key", KeyPlan::new(&declared.key))?,
        sides: [
            (needed("bid", &declared.bid)?, bid_size),
            (needed("ask", &declared.ask)?, ask_size),
        ],
        time: time(declared.time.as_ref())?,
        seq: optional("seq", &declared.seq)?,
        whole: declared.whole,
        comparable: declared.comparable,
    })
}

/// The number of a part of a divided text.
fn part(name: &str, text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("{name}: expected the number of a part, found {text:?}"))
}

fn levels(declared: &dialect::Levels) -> Result<LevelsPlan, String> {
    let sides = LevelsPlan::Sides {
        bids: optional("levels.bids", &declared.bids)?,
        asks: optional("levels.asks", &declared.asks)?,
    };
    let words = SideWords {
        bid: texts(&declared.bid_words),
        ask: texts(&declared.ask_words),
    };
    let list = optional("levels.mixed", &declared.mixed)?;
    if list.is_none() && !declared.rows {
        if declared.signed {
            return Err("levels.signed: expected mixed, found none".into());
        }
        if !declared.split.is_empty() {
            return Err("levels.split: expected levels of both sides in mixed, found none".into());
        }
        let side = optional("levels.side", &declared.side)?;
        return match (&sides, side) {
            (
                LevelsPlan::Sides {
                    bids: None,
                    asks: None,
                },
                Some(side),
            ) => Ok(LevelsPlan::Alone { side, words }),
            (
                LevelsPlan::Sides {
                    bids: None,
                    asks: None,
                },
                None,
            ) => Err("levels: expected bids and asks, mixed, rows, or side, found none".into()),
            _ => Ok(sides),
        };
    }
    let others = !(declared.bids.is_empty() && declared.asks.is_empty());
    if others || (list.is_some() && declared.rows) {
        return Err("levels: expected one of bids and asks, mixed, or rows, found more".into());
    }
    if !declared.split.is_empty() {
        let Some(list) = list else {
            return Err("levels.split: expected levels of both sides in mixed, found rows".into());
        };
        return Ok(LevelsPlan::Written(WrittenPlan {
            list,
            split: declared.split.as_bytes().into(),
            side: part("levels.side", &declared.side)?,
            price: part("levels.price", &declared.price)?,
            size: part("levels.size", &declared.size)?,
            words,
        }));
    }
    if declared.signed && !declared.side.is_empty() {
        return Err(
            "levels.side: expected either words or the sign of the size, found both".into(),
        );
    }
    Ok(LevelsPlan::Mixed {
        list,
        side: if declared.signed {
            SidePlan::Sign
        } else {
            SidePlan::Words {
                path: needed("levels.side", &declared.side)?,
                words,
            }
        },
    })
}

/// Whether a kind has one value, in the place of the price.
#[must_use]
pub const fn is_measure(kind: u8) -> bool {
    kind == kind::PREV_CLOSE || (kind::MARK <= kind && kind <= kind::TURNOVER_24H)
}

fn measures(declared: &dialect::Measures) -> Result<MeasuresPlan, String> {
    let value = |measure: &dialect::Measure| {
        if !is_measure(measure.kind) {
            return Err(format!(
                "values: expected kind {} or {} to {}, found {}",
                kind::PREV_CLOSE,
                kind::MARK,
                kind::TURNOVER_24H,
                measure.kind
            ));
        }
        let absent = (!measure.absent.is_empty())
            .then(|| Decimal::parse(measure.absent.as_bytes()))
            .transpose()
            .map_err(|_| {
                format!(
                    "values: expected a decimal number as absent, found {:?}",
                    measure.absent
                )
            })?;
        if absent.is_some() && measure.unit.is_some() {
            return Err("values: expected absent without a unit, found both".to_owned());
        }
        Ok(MeasurePlan {
            absent,
            kind: measure.kind,
            path: needed("values", &measure.path)?,
            unit: measure.unit,
        })
    };
    Ok(MeasuresPlan {
        key: at("key", KeyPlan::new(&declared.key))?,
        values: declared
            .values
            .iter()
            .map(value)
            .collect::<Result<_, _>>()?,
        time: time(declared.time.as_ref())?,
    })
}

/// Collects what is compiled so far.
#[derive(Default)]
struct Compiler {
    probes: Vec<Path>,
    slots: Vec<Path>,
    rules: Vec<Rule>,
    counted: bool,
    has_binding: bool,
}

/// Conditions on a frame by the index of their path, then those on what its number stands for.
type Conditions = (Box<[(usize, Condition)]>, Box<[(usize, Condition)]>);

impl Compiler {
    /// Kind of the books that begin over REST; of a book whose stream has told nothing yet, the answer does not say it.
    fn rest_kind(&self) -> u16 {
        let is_rest = |rule: &Rule| rule.snapshot == books::SnapshotFrom::Rest;
        let found = self.rules.iter().position(is_rest).unwrap_or_default();
        u16::try_from(found).unwrap_or_default()
    }

    fn probe(&mut self, text: &str) -> Result<usize, String> {
        if let Some(index) = self.probes.iter().position(|path| path.text() == text) {
            return Ok(index);
        }
        self.probes.push(needed("when", text)?);
        Ok(self.probes.len() - 1)
    }

    /// Index of a text of the binding.
    fn slot(&mut self, path: Path) -> Result<usize, String> {
        if !self.has_binding {
            let text = path.text();
            return Err(format!(
                "expected a declared binding, since a path begins with @, found none for {text:?}"
            ));
        }
        let found = self
            .slots
            .iter()
            .position(|each| each.text() == path.text());
        Ok(found.unwrap_or_else(|| {
            self.slots.push(path);
            self.slots.len() - 1
        }))
    }

    fn conditions(&mut self, declared: &[dialect::Match]) -> Result<Conditions, String> {
        let (mut when, mut bound) = (Vec::new(), Vec::new());
        for each in declared {
            if !each.same_as.is_empty() {
                let text = &each.path;
                return Err(format!(
                    "expected same_as in conditions on rows only, found it at {text:?}"
                ));
            }
            match Path::new(&each.path)?.filter(Path::is_bound) {
                Some(path) => bound.push((self.slot(path)?, Condition::new(each))),
                None => when.push((self.probe(&each.path)?, Condition::new(each))),
            }
        }
        Ok((when.into(), bound.into()))
    }

    fn emit(&mut self, declared: &dialect::Emit) -> Result<EmitPlan, String> {
        let mut plan = self.plan_of(declared)?;
        if let Some(key) = plan.key_mut().filter(|key| key.path.is_bound()) {
            let path = Path::new(key.path.text())?;
            key.slot = path.map(|path| self.slot(path)).transpose()?;
        }
        Ok(plan)
    }

    fn plan_of(&mut self, declared: &dialect::Emit) -> Result<EmitPlan, String> {
        Ok(match declared {
            dialect::Emit::Trades(declared) => {
                EmitPlan::Trades(Box::new(at("trades", trades(declared))?))
            }
            dialect::Emit::Quotes(declared) => {
                EmitPlan::Quotes(Box::new(at("quotes", quotes(declared))?))
            }
            dialect::Emit::Measures(declared) => {
                EmitPlan::Measures(Box::new(at("measures", measures(declared))?))
            }
            dialect::Emit::Book(declared) => {
                EmitPlan::Book(Box::new(at("book", self.book(declared))?))
            }
        })
    }

    fn book(&mut self, declared: &dialect::Book) -> Result<BookPlan, String> {
        let kind = u16::try_from(self.rules.len()).map_err(|_| "too many books".to_owned())?;
        check(declared)?;
        self.rules.push(rule(&declared.rule, self.counted)?);
        let key = at("key", KeyPlan::new(&declared.key))?;
        book(declared, Some(key), kind)
    }

    fn message(&mut self, declared: &dialect::Message) -> Result<MessagePlan, String> {
        let (when, bound) = self.conditions(&declared.when)?;
        let emits: Box<[EmitPlan]> = declared
            .emits
            .iter()
            .map(|emit| self.emit(emit))
            .collect::<Result<_, _>>()?;
        let known = (!declared.fields.is_empty()).then(|| known(declared, &emits));
        if emits.is_empty() && !declared.cold_when_changed.is_empty() {
            return Err("cold_when_changed: expected emits, found none".to_owned());
        }
        let cold_when_changed = declared
            .cold_when_changed
            .iter()
            .map(|path| needed("cold_when_changed", path))
            .collect::<Result<_, _>>()?;
        Ok(MessagePlan {
            cold_when_changed,
            name: declared.name.clone(),
            when,
            bound,
            rows: at("rows", Rows::new(&declared.rows))?,
            newest_first: declared.newest_first,
            emits,
            market: (!declared.market.is_empty()).then(|| declared.market.clone()),
            known,
        })
    }
}

impl Plan {
    /// Whether quotes count with the ids of books.
    #[must_use]
    pub fn has_comparable_quotes(&self) -> bool {
        let emits = self.messages.iter().flat_map(|message| &message.emits);
        emits
            .into_iter()
            .any(|emit| matches!(emit, EmitPlan::Quotes(quotes) if quotes.comparable))
    }

    /// Compiles where the number of a connection's messages stands.
    fn counter(
        declared: &dialect::Counter,
        compiler: &mut Compiler,
    ) -> Result<CounterPlan, String> {
        let mut places = Vec::new();
        for place in &declared.places {
            let (when, bound) = compiler.conditions(&place.when)?;
            if !bound.is_empty() {
                return Err("counter: expected paths of the frame, found one of @".into());
            }
            places.push((when, needed("counter", &place.path)?));
        }
        Ok(CounterPlan {
            path: needed("counter", &declared.path)?,
            places: places.into(),
            first: declared.first.and_then(|first| i64::try_from(first).ok()),
            counts_trades: false,
        })
    }

    /// Compiles what binds numbers to subscriptions.
    fn binding(declared: &dialect::Binding, slots: Vec<Path>) -> Result<BindingPlan, String> {
        Ok(BindingPlan {
            when: matches("binding", &declared.when)?,
            ends: matches("binding", &declared.ends)?,
            number: needed("binding.number", &declared.number)?,
            path: needed("binding.path", &declared.path)?,
            slots: slots.into(),
        })
    }

    /// Compiles a declaration.
    ///
    /// # Errors
    /// It makes no sense; says where.
    pub fn new(declared: &dialect::Dialect) -> Result<Self, String> {
        let mut compiler = Compiler {
            counted: declared.counter.is_some(),
            has_binding: declared.binding.is_some(),
            ..Compiler::default()
        };
        let mut messages = Vec::new();
        for message in &declared.messages {
            let place = format!("message {:?}", message.name);
            messages.push(at(&place, compiler.message(message))?);
        }
        let counter = declared.counter.as_ref();
        let mut counter = counter
            .map(|counter| Self::counter(counter, &mut compiler))
            .transpose()?;
        if let Some(counter) = &mut counter {
            counter.counts_trades = declared.rest_trades.is_some() && !declared.chains_trades();
        }
        let slots = core::mem::take(&mut compiler.slots);
        let binding = declared.binding.as_ref();
        let binding = binding.map(|binding| Self::binding(binding, slots));
        let rest_book = declared
            .rest_book
            .as_ref()
            .map(|rest| at("rest_book", book(rest, None, compiler.rest_kind())));
        let rest_trades = declared
            .rest_trades
            .as_ref()
            .map(|rest| at("rest_trades", rest_trades(rest)));
        Ok(Self {
            messages: messages.into(),
            counter,
            binding: binding.transpose()?,
            rest_trades: rest_trades.transpose()?,
            plain: texts(&declared.plain),
            rest_book: rest_book.transpose()?,
            rest_rows: optional("rest_rows", &declared.rest_rows)?,
            probes: compiler.probes.into(),
            rules: compiler.rules,
            buffer_max: declared.buffer_max,
            packing: declared.packing,
            unpacked_max: declared.unpacked_max,
        })
    }
}
