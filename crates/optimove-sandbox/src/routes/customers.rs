//! Group `customers`: who was sent what, who waits for approval, from whom to take it back, whose
//! actions ended, and who is being targeted. All lists are paged.

use http::StatusCode;
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};

use super::Call;
use super::actions::known_campaign;
use super::lists::{Columns, CustomerList};
use crate::answer::{Refusal, Reply};
use crate::entry::{Entry, ends_on};
use crate::rows::RowsOf;
use crate::switch::CancelledList;

/// `GetCustomerExecutionDetailsByCampaign`: the rows of a channel, or of all.
pub(super) fn execution_details(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let channel = asked_channel(call)?;
    let list = CustomerList::asked(call, format!("{id} {channel:?}"))?;
    let list = list.with_attributes()?;
    let entry = known_campaign(call, id)?;
    let sections = entry.iter().map(|entry| {
        let scope = entry.sent();
        list.section(
            &entry.campaign,
            RowsOf::Channel(channel),
            scope,
            Columns::Execution,
        )
    });
    Ok(list.page(&sections.collect::<Vec<_>>()))
}

/// `GetProcessedCampaignCustomers`: who was processed, in all send groups announced so far.
pub(super) fn processed(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let channel = asked_channel(call)?;
    let list = CustomerList::asked(call, format!("{id} {channel:?}"))?;
    let entry = known_campaign(call, id)?;
    let sections = entry.iter().map(|entry| {
        let scope = entry.processed();
        list.section(
            &entry.campaign,
            RowsOf::Channel(channel),
            scope,
            Columns::Processed,
        )
    });
    Ok(list.page(&sections.collect::<Vec<_>>()))
}

/// `GetCanceledCampaignCustomers`: from whom to take it back, for a time.
pub(super) fn cancelled(call: &Call) -> Result<Reply, Refusal> {
    if call.switches.cancelled_list == CancelledList::Removed {
        return Err(Refusal::plain(StatusCode::NOT_FOUND));
    }
    let id = call.query.required_number("CampaignID")?;
    let list = CustomerList::asked(call, id.to_string())?;
    let window = SignedDuration::from_secs(call.switches.cancelled_window_seconds.0);
    let now = call.shared.clock.now();
    let open = |entry: &Entry| {
        let at = entry.cancelled_at();
        at.is_some_and(|at| now.duration_since(at) < window)
    };
    let entry = known_campaign(call, id)?.filter(open);
    let sections = entry.iter().map(|entry| {
        list.section(
            &entry.campaign,
            RowsOf::Customers,
            entry.taken_back(),
            Columns::Cancelled,
        )
    });
    Ok(list.page(&sections.collect::<Vec<_>>()))
}

/// `GetCustomersActionEndedByDate`: whose actions ended on a date, over all campaigns.
pub(super) fn ended(call: &Call) -> Result<Reply, Refusal> {
    let date = call.query.required_date("Date")?;
    let list = CustomerList::asked(call, date.to_string())?;
    let entries = executed(call)?;
    let offset = call.switches.ended_offset_days.0;
    let sections = entries.iter().flat_map(|entry| {
        let started = entry.dates().into_iter();
        let ended = started.filter(move |started| {
            let ends = ends_on(&entry.campaign, *started);
            ends.and_then(|ends| ends.checked_add(offset.days()).ok()) == Some(date)
        });
        ended.map(|started| {
            let scope = entry.sent_where(|executed| executed == started);
            let columns = Columns::Ended(started);
            list.section(&entry.campaign, RowsOf::Channel(None), scope, columns)
        })
    });
    Ok(list.page(&sections.collect::<Vec<_>>()))
}

/// `GetCurrentlyTargetedCustomers`: whose actions have begun and not ended, by date.
pub(super) fn targeted(call: &Call) -> Result<Reply, Refusal> {
    let list = CustomerList::asked(call, String::new())?;
    let entries = executed(call)?;
    let now = call.shared.clock.now();
    let sections = entries.iter().flat_map(|entry| {
        let today = entry.campaign.zone.to_datetime(now).date();
        let started = entry.dates().into_iter();
        let running = started.filter_map(move |started| {
            let ends = ends_on(&entry.campaign, started)?;
            runs(started, ends, today).then_some((started, ends))
        });
        running.map(|(started, ends)| {
            let scope = entry.sent_where(|executed| executed == started);
            let columns = Columns::Targeted(started, ends);
            list.section(&entry.campaign, RowsOf::Customers, scope, columns)
        })
    });
    Ok(list.page(&sections.collect::<Vec<_>>()))
}

/// Whether an action runs on a day; one that lasts for 0 days runs on its first.
fn runs(started: Date, ends: Date, today: Date) -> bool {
    started == today || (started <= today && today < ends)
}

/// The channel asked for; 0 means all, as with a sibling function.
fn asked_channel(call: &Call) -> Result<Option<u64>, Refusal> {
    let channel = call.query.number("ChannelID")?;
    Ok(channel.filter(|channel| *channel != 0))
}

/// The tenant's campaigns that are listed as executed.
fn executed(call: &Call) -> Result<Vec<Entry>, Refusal> {
    call.shared.with_tenant(call.tenant, |tenant| {
        let entries = tenant.campaigns.values();
        Ok(entries
            .filter(|entry| entry.executed_on().is_some())
            .cloned()
            .collect())
    })
}
