//! What comes over two connections at once: which of them counts, and what waits for the other one.

use super::super::book::Telling;
use super::super::chain::Fault;
use super::super::rule::Rule;
use super::super::{BookMessage, Output, Provenance};
use super::{Books, crossed, depth_of, finish};
use crate::record::Record;

impl Books {
    /// Applies what another connection brought before, now that it follows.
    pub(super) fn catch_up(
        &mut self,
        index: u32,
        rule: &Rule,
        message: &BookMessage<'_>,
        output: &mut Output<'_>,
    ) -> Option<Fault> {
        let book = self.books[index as usize].as_deref_mut()?;
        while book.waiting.len() > 0
            && let Some(end) = book.position.last
            && let Some(next) = book.waiting.next_after(rule, end)
        {
            let touched = book.apply(next.changes.iter().copied());
            book.cut(depth_of(rule, message));
            book.position.last = next.ids.last;
            if let Some(fault) = crossed(book) {
                return Some(fault);
            }
            let origin = Record {
                ts_event: next.ts_event,
                ..message.origin
            };
            let telling = Telling {
                origin,
                follow: self.comparable,
                whole: false,
                touched,
            };
            finish(index, book, &telling, output);
        }
        None
    }

    /// Whether no difference waits for another connection to come to where it begins.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        let mut books = self.books.iter().flatten();
        books.all(|book| !book.is_whole() || book.waiting.len() == 0)
    }

    /// Whether a best bid and offer is news, or another connection brought it before.
    pub fn takes_quote(&mut self, index: u32, news: &Provenance, has_twin: bool) -> bool {
        let is_news = self
            .get_mut(index)
            .is_none_or(|book| book.quotes.takes(news, has_twin));
        self.statistics.left_out += u64::from(!is_news);
        is_news
    }

    /// A connection is over, and what it brought comes over another one.
    pub fn close_link(&mut self, link: u32) {
        for book in self.books.iter_mut().flatten() {
            book.quotes.let_go(link);
            if book.link == Some(link) && !book.is_whole() {
                book.link = None;
                book.waiting.clear();
            }
        }
    }

    /// Connection that feeds the book of an instrument.
    #[must_use]
    pub fn link(&self, index: u32) -> Option<u32> {
        self.get(index).and_then(|book| book.link)
    }

    /// Messages that another connection had brought before.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.statistics.left_out
    }
}
