//! The owner's hub serves its links.
//!
//! What a worker asks is answered in the order of the stream: everything that the owner published before an answer lies
//! in front of it. So when a worker has read an answer, its mirror stands exactly where the answer says.

use super::message::{
    LinkError, Missed, Outcome, OwnerFrame, Place, Standing, VERSION, Want, WorkerFrame,
};
use crate::hub::{CHANNEL_TRADES, CLASS_ALL, ClientId, Hub, Remembered};
use crate::latest::Topic;

/// What is left for the link's owner to answer: directories are none of the hub's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Hello {
        name: String,
        pid: u64,
    },
    Match {
        token: u64,
        pattern: String,
        limit: u64,
    },
}

impl Hub {
    /// Serves one frame of a worker.
    ///
    /// # Errors
    /// What no worker of this version sends: the link is to be closed.
    pub fn serve(
        &mut self,
        link: ClientId,
        kind: u8,
        message: &[u8],
        now_ns: i64,
    ) -> Result<Option<Request>, LinkError> {
        match WorkerFrame::read(kind, message)? {
            WorkerFrame::Hello { version, name, pid } => {
                if version != VERSION {
                    return Err(LinkError(format!(
                        "expected version {VERSION} of the link, found {version}; restart the worker"
                    )));
                }
                self.tell(link, &OwnerFrame::Welcome { version });
                return Ok(Some(Request::Hello { name, pid }));
            }
            WorkerFrame::Ask { token, wants } => {
                for (index, want) in (0..).zip(&wants) {
                    self.answer(link, token, index, want, now_ns);
                }
                self.tell(link, &OwnerFrame::Done { token });
            }
            WorkerFrame::Withdraw(places) => {
                for place in places {
                    self.check(&place)?;
                    self.fanout_mut().dismiss(link, key(&place));
                }
            }
            WorkerFrame::Watchers(places) => {
                for place in places {
                    self.check(&place)?;
                    self.fanout_mut().weigh(link, key(&place), place.watchers);
                }
            }
            WorkerFrame::Barrier { token, places } => {
                for place in &places {
                    self.check(place)?;
                    self.bring(link, key(place), now_ns);
                }
                self.tell(link, &OwnerFrame::Done { token });
            }
            WorkerFrame::Match {
                token,
                pattern,
                limit,
            } => {
                return Ok(Some(Request::Match {
                    token,
                    pattern,
                    limit,
                }));
            }
        }
        Ok(None)
    }

    /// Queues a frame behind all that earlier calls caused.
    pub fn tell(&mut self, link: ClientId, frame: &OwnerFrame) {
        let mut out = Vec::new();
        frame.write(&mut out);
        self.fanout_mut().put(link, &out);
    }

    /// Symbols are new that fall under a pattern; the worker learns what they are before it hears of them.
    pub fn tell_listed(&mut self, link: ClientId, pattern: String, symbols: Vec<String>) {
        let mut texts = vec![pattern];
        for symbol in symbols {
            if let Some(topic) = self.latest().topic(&symbol) {
                self.introduce(link, topic);
                texts.push(symbol);
            }
        }
        self.tell(link, &OwnerFrame::Listed(texts));
    }

    fn check(&self, place: &Place) -> Result<(), LinkError> {
        if (place.topic as usize) < self.latest().topics() {
            return Ok(());
        }
        Err(LinkError(format!(
            "expected the number of a topic below {}, found {}",
            self.latest().topics(),
            place.topic
        )))
    }

    fn answer(&mut self, link: ClientId, token: u64, index: u32, want: &Want, now_ns: i64) {
        let mut standing = Standing {
            token,
            index,
            is_known: false,
            place: Place::default(),
            epoch: 0,
            seq: 0,
            outcome: Outcome::None,
            missed: Vec::new(),
        };
        if let Some(topic) = self.latest().topic(&want.symbol) {
            standing.is_known = true;
            self.awaken(topic, now_ns);
            self.stand(link, topic, want, &mut standing, now_ns);
        }
        let mut out = Vec::new();
        standing.write(&mut out);
        self.fanout_mut().put(link, &out);
    }

    fn stand(
        &mut self,
        link: ClientId,
        topic: Topic,
        want: &Want,
        standing: &mut Standing,
        now_ns: i64,
    ) {
        let class = if want.channel == CHANNEL_TRADES {
            CLASS_ALL
        } else {
            want.class
        };
        let place = Place {
            topic,
            channel: want.channel,
            class,
            watchers: want.watchers,
        };
        if want.channel != crate::hub::CHANNEL_PRICE {
            self.introduce(link, topic);
        }
        let from = (want.from_epoch != 0).then_some((want.from_epoch, want.from_seq));
        self.fanout_mut()
            .enlist(link, key(&place), want.watchers, from);
        self.bring(link, key(&place), now_ns);
        let position = self.fanout().position(topic, want.channel);
        (standing.place, standing.epoch, standing.seq) = (place, position.epoch, position.seq);
        if !want.resumes() {
            return;
        }
        let memory = if want.epoch == 0 {
            Remembered::LastSeen {
                timestamp_ns: want.last_seen_ns,
                precision_ns: want.precision_ns,
            }
        } else {
            Remembered::Position {
                epoch: want.epoch,
                seq: want.seq,
            }
        };
        match self.fanout().recall(want.channel, topic, memory) {
            Ok(recalled) => {
                standing.outcome = Outcome::At(recalled.seq);
                let trades = recalled.trades.into_iter();
                standing.missed = trades
                    .map(|(seq, row, text)| Missed { seq, row, text })
                    .collect();
            }
            Err(refusal) => standing.outcome = Outcome::Refused(refusal),
        }
    }
}

fn key(place: &Place) -> (Topic, u8, u8) {
    (place.topic, place.channel, place.class)
}
