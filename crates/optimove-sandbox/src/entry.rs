//! A campaign and how far it has come, and what each list of the API shows of it then.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::campaign::{Campaign, Kind};
use crate::event::Event;
use crate::hold::{Due, Hold, Phase, Step};
use crate::scope::{Scope, Share};
use crate::trigger::Triggers;

/// A campaign and how far it has come.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) campaign: Arc<Campaign>,
    pub(crate) state: State,
    /// Of a conditional campaign, once it is processed.
    pub(crate) hold: Option<Hold>,
    /// Of a triggered campaign: what was sent.
    pub(crate) triggers: Arc<Triggers>,
}

/// How far a campaign has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Planned; the API does not know it yet.
    Draft,
    /// Processed, and some of it not executed yet.
    Held,
    /// Executed on that local date.
    Executed(Date),
    /// Triggered, from its creation on.
    Running,
    /// Cancelled at that time.
    Cancelled(Timestamp, Before),
}

/// What a campaign was before it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Draft,
    /// Processed, or running.
    Processed,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Held => "held",
            Self::Executed(_) | Self::Running => "executed",
            Self::Cancelled(..) => "cancelled",
        }
    }
}

impl Entry {
    pub(crate) fn new(campaign: Arc<Campaign>, state: State) -> Self {
        Self {
            campaign,
            state,
            hold: None,
            triggers: Arc::default(),
        }
    }

    /// Whether the API lists the campaign as executed, and on which date.
    pub(crate) fn executed_on(&self) -> Option<Date> {
        match self.state {
            State::Executed(date) => Some(date),
            State::Held => self.hold.as_ref().and_then(Hold::executed_on),
            State::Draft | State::Running | State::Cancelled(..) => None,
        }
    }

    /// Whether the API knows the campaign. Of triggered ones all is in the notification.
    pub(crate) fn is_known(&self) -> bool {
        let processed = !matches!(
            self.state,
            State::Draft | State::Cancelled(_, Before::Draft)
        );
        processed && !matches!(self.campaign.kind, Kind::Triggered(_))
    }

    /// When the campaign was cancelled, if it was.
    pub(crate) fn cancelled_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Cancelled(at, _) => Some(at),
            _ => None,
        }
    }

    /// Who was sent something, and was not taken back since.
    pub(crate) fn sent(&self) -> Scope {
        self.sent_where(|_| true)
    }

    /// Who was sent something, of the send groups executed on dates that count.
    pub(crate) fn sent_where(&self, counts: impl Fn(Date) -> bool) -> Scope {
        let executed = self.executed_on();
        match &self.hold {
            Some(hold) => hold.scope(|phase| match phase {
                Phase::Executed(date) if executed.is_some() && counts(date) => Share::Approved,
                _ => Share::Nobody,
            }),
            None if executed.is_some_and(counts) => Scope::whole(Share::Everyone),
            None => Scope::whole(Share::Nobody),
        }
    }

    /// On which dates something was sent.
    pub(crate) fn dates(&self) -> Vec<Date> {
        let Some(first) = self.executed_on() else {
            return Vec::new();
        };
        let groups = self.hold.iter().flat_map(|hold| &hold.groups);
        let mut dates: Vec<_> = groups
            .filter_map(|group| group.phase.executed_on())
            .collect();
        dates.push(first);
        dates.sort_unstable();
        dates.dedup();
        dates
    }

    /// Who was processed: to be approved, or to be sent to without that.
    pub(crate) fn processed(&self) -> Scope {
        if matches!(self.state, State::Cancelled(..)) || !self.is_known() {
            return Scope::whole(Share::Nobody);
        }
        self.announced(Share::Everyone)
    }

    /// From whom a cancelled campaign is to be taken back.
    pub(crate) fn taken_back(&self) -> Scope {
        match self.state {
            State::Cancelled(_, Before::Processed) => self.announced(Share::Approved),
            _ => Scope::whole(Share::Nobody),
        }
    }

    /// Everyone announced; of send groups that are executed `executed`.
    fn announced(&self, executed: Share) -> Scope {
        match &self.hold {
            None => Scope::whole(Share::Everyone),
            Some(hold) => hold.scope(|phase| match phase {
                Phase::Waiting => Share::Nobody,
                Phase::Announced => Share::Everyone,
                Phase::Executed(_) => executed,
            }),
        }
    }

    /// Customers who were sent something.
    pub(crate) fn sent_size(&self) -> u64 {
        match (self.state, &self.hold) {
            (State::Executed(_) | State::Held, Some(hold)) => hold.sent(),
            (State::Executed(_), None) => self.campaign.sent_size(),
            (State::Running, _) => self.triggers.tally().sent,
            _ => 0,
        }
    }

    /// Lets happen what falls due, and says what to tell; a channel in `failing` never has all
    /// its templates sent.
    pub(crate) fn happen(&mut self, due: &Due, failing: &[u64]) -> Vec<Event> {
        let id = &self.campaign.id;
        let (State::Held, Some(hold)) = (self.state, &mut self.hold) else {
            return Vec::new();
        };
        let first = hold.executed_on().is_none();
        let group = &mut hold.groups[due.group];
        if due.step == Step::Announcement {
            group.phase = Phase::Announced;
            return vec![Event::of_hold(id, group.deadline)];
        }
        let date = self.campaign.zone.to_datetime(due.at).date();
        group.phase = Phase::Executed(date);
        let mut events = Vec::new();
        events.extend(first.then(|| Event::of_campaign(1, id)));
        if let (true, Some(date)) = (hold.is_over(), hold.executed_on()) {
            self.state = State::Executed(date);
            events.extend(executed_channels(&self.campaign, failing));
        }
        events
    }
}

/// Event 13 for each channel of which all templates were sent.
pub(crate) fn executed_channels<'a>(
    campaign: &'a Campaign,
    failing: &'a [u64],
) -> impl Iterator<Item = Event> + 'a {
    let channels = campaign.channels().into_iter();
    let complete = channels.filter(|channel| !failing.contains(channel));
    complete.map(|channel| Event::of_channel(13, &campaign.id, channel))
}

/// The date on which an action ends that was sent on `date`, if the calendar has it.
pub(crate) fn ends_on(campaign: &Campaign, date: Date) -> Option<Date> {
    date.checked_add(campaign.duration_days.days()).ok()
}
