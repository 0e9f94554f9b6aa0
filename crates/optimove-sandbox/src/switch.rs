//! The named switches: how the stand-in behaves where the real service is undocumented, varies or
//! fails.
//!
//! Each switch is one line of the table below, with its type and default. The type decides which
//! JSON values are accepted.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::routes::is_function_name;

/// A value that one switch can take.
pub(crate) trait Setting: Sized {
    /// Reads a JSON value, or says what would be accepted.
    fn read(value: &Value) -> Result<Self, String>;
    /// The JSON value that `read` takes back.
    fn write(&self) -> Value;
}

/// An integer within limits, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Int<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// The value where the limits leave only what fits an unsigned number.
    pub(crate) const fn get(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl<const MIN: i64, const MAX: i64> Setting for Int<MIN, MAX> {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_i64() {
            Some(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!("an integer from {MIN} to {MAX}")),
        }
    }

    fn write(&self) -> Value {
        self.0.into()
    }
}

/// One of two HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status<const A: u16, const B: u16>(pub(crate) u16);

impl<const A: u16, const B: u16> Setting for Status<A, B> {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_u64().and_then(|number| u16::try_from(number).ok()) {
            Some(number) if number == A || number == B => Ok(Self(number)),
            _ => Err(format!("{A} or {B}")),
        }
    }

    fn write(&self) -> Value {
        self.0.into()
    }
}

/// Numbers in a list, each at most `MAX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers<const MAX: u64>(pub(crate) Vec<u64>);

impl<const MAX: u64> Setting for Numbers<MAX> {
    fn read(value: &Value) -> Result<Self, String> {
        let wanted = || format!("a list of at most {LIST_ENTRIES_MAX} integers from 0 to {MAX}");
        let entries = value.as_array().ok_or_else(wanted)?;
        if entries.len() > LIST_ENTRIES_MAX {
            return Err(wanted());
        }
        let numbers = entries
            .iter()
            .map(|entry| entry.as_u64().filter(|number| *number <= MAX));
        numbers.collect::<Option<_>>().map(Self).ok_or_else(wanted)
    }

    fn write(&self) -> Value {
        self.0.clone().into()
    }
}

/// Event types in a list; an empty one means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventTypes(BTreeSet<u64>);

impl EventTypes {
    pub(crate) fn covers(&self, event_type: u64) -> bool {
        self.0.is_empty() || self.0.contains(&event_type)
    }
}

impl Setting for EventTypes {
    fn read(value: &Value) -> Result<Self, String> {
        let Numbers::<13>(numbers) = Numbers::read(value)?;
        if let Some(unknown) = numbers.iter().find(|number| !EVENT_TYPES.contains(number)) {
            return Err(format!(
                "a list of event types out of {EVENT_TYPES:?}, not {unknown}"
            ));
        }
        Ok(Self(numbers.into_iter().collect()))
    }

    fn write(&self) -> Value {
        self.0.iter().copied().collect()
    }
}

/// Function names in a list, any letter case; an empty one means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Functions(Vec<String>);

impl Functions {
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

impl Setting for Functions {
    fn read(value: &Value) -> Result<Self, String> {
        let wanted = || "a list of function names of the API".to_owned();
        let entries = value
            .as_array()
            .filter(|entries| entries.len() <= LIST_ENTRIES_MAX);
        let names = entries.ok_or_else(wanted)?.iter().map(|entry| {
            let name = entry.as_str().filter(|name| is_function_name(name));
            name.map(str::to_owned)
        });
        names.collect::<Option<_>>().map(Self).ok_or_else(wanted)
    }

    fn write(&self) -> Value {
        self.0.iter().cloned().collect()
    }
}

/// Longest list a switch takes.
const LIST_ENTRIES_MAX: usize = 100;

/// The event types that a listener can be registered for.
pub(crate) const EVENT_TYPES: [u64; 7] = [1, 2, 3, 4, 5, 11, 13];

/// Switches whose values are words.
macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl Setting for $name {
            fn read(value: &Value) -> Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", [$($word),+].join(", "))),
                }
            }

            fn write(&self) -> Value {
                match self { $(Self::$variant => $word.into()),+ }
            }
        }
    )+};
}

words! {
    OnOff { On = "on", Off = "off" }
    LoginWhileValid { Allow = "allow", Reject = "reject" }
    ExpiredBody { Plain = "plain", PlainLower = "plain-lower", JsonString = "json-string" }
    IntegrationsRole { Narrow = "narrow", Wide = "wide" }
    RetryAfter { Absent = "absent", Seconds = "seconds" }
    ContentTypeCheck { Strict = "strict", Lenient = "lenient" }
    BarePaging { Ignore = "ignore", Honour = "honour" }
    EmptyResult {
        Array = "array", NoContent = "no-content", NotFound = "not-found", EmptyBody = "empty-body",
    }
    VoidBody { Empty = "empty", ResponseCode = "response-code", JsonTrue = "json-true" }
    ErrorBody {
        JsonString = "json-string", Plain = "plain", Problem = "problem",
        ErrorsObject = "errors-object", ErrorObject = "error-object",
        DoubleEncoded = "double-encoded",
    }
    Booleans { Json = "json", Text = "string" }
    Ids { Documented = "documented", Number = "number", Text = "string" }
    KeyCasing { Documented = "documented", Live = "live", Camel = "camel", Lower = "lower" }
    OptionalFields { Present = "present", NullValue = "null-value", Absent = "absent" }
    ScheduleField {
        ScheduleTime = "schedule-time", ScheduledTime = "scheduled-time", Both = "both",
    }
    TimeFormat { Space = "space", Minutes = "minutes", Iso = "iso", IsoOffset = "iso-offset" }
    PromoCodes {
        Csv = "csv", CsvSpaced = "csv-spaced", Array = "array",
        JsonArrayString = "json-array-string", RowPerCode = "row-per-code",
    }
    Transfer { ContentLength = "content-length", Chunked = "chunked" }
    PageOrder { Stable = "stable", Shuffle = "shuffle" }
    PageChurn { Off = "off", Repeat = "repeat", Skip = "skip" }
    Signature { Off = "off", XHubSignature = "x-hub-signature" }
    ListenerMatch { Both = "both", MostSpecific = "most-specific" }
    Event11Casing { Camel = "camel", Pascal = "pascal" }
    Event11PromoCode {
        Array = "array", Csv = "csv", JsonArrayString = "json-array-string",
        NullValue = "null-value", Absent = "absent",
    }
    Event11Parameters { Flat = "flat", Nested = "nested" }
    BatchBadEntry { RefuseAll = "refuse-all", Skip = "skip" }
    CancelledList { Window = "window", Removed = "removed" }
    Version { V1 = "v1", V2 = "v2" }
    LateStatus { Ignore = "ignore", Refuse = "refuse" }
    Verdict { Deny = "deny", Allow = "allow" }
    GatewayIds { Number = "number", Text = "string" }
    FaultKind {
        Status500 = "status-500", Status503 = "status-503", Timeout = "timeout", Reset = "reset",
        Truncate = "truncate", Html200 = "html-200", String200 = "string-200",
    }
}

/// The table: name on the wire, field, type, default.
macro_rules! switches {
    ($($name:literal $field:ident: $kind:ty = $default:expr;)+) => {
        /// The value of every switch.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Switches { $(pub(crate) $field: $kind),+ }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl Switches {
            /// All switches by name.
            pub(crate) fn to_json(&self) -> Value {
                let mut all = Map::new();
                $(all.insert($name.to_owned(), self.$field.write());)+
                Value::Object(all)
            }

            fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
                match name {
                    $($name => self.$field = if value.is_null() { $default } else {
                        <$kind>::read(value).map_err(|wanted| format!("{name} takes {wanted}"))?
                    },)+
                    _ => return Err(format!("there is no switch called {name}")),
                }
                Ok(())
            }
        }
    };
}

switches! {
    "login" login: OnOff = OnOff::On;
    "api-key" api_key: OnOff = OnOff::On;
    "login-failure" login_failure: Status<401, 500> = Status(401);
    "login-while-valid" login_while_valid: LoginWhileValid = LoginWhileValid::Allow;
    "token-ttl-seconds" token_ttl_seconds: Int<1, TIME_MAX> = Int(1_200);
    "token-expired-body" token_expired_body: ExpiredBody = ExpiredBody::Plain;
    "integrations-role" integrations_role: IntegrationsRole = IntegrationsRole::Narrow;
    "role-refused-status" role_refused_status: Status<403, 401> = Status(403);
    "rate-limit-requests" rate_limit_requests: Int<0, COUNT_MAX> = Int(50);
    "rate-limit-window-ms" rate_limit_window_ms: Int<1, TIME_MAX> = Int(10_000);
    "retry-after" retry_after: RetryAfter = RetryAfter::Absent;
    "content-type-check" content_type_check: ContentTypeCheck = ContentTypeCheck::Strict;
    "bare-paging" bare_paging: BarePaging = BarePaging::Ignore;
    "empty-result" empty_result: EmptyResult = EmptyResult::Array;
    "void-body" void_body: VoidBody = VoidBody::Empty;
    "error-body" error_body: ErrorBody = ErrorBody::JsonString;
    "booleans" booleans: Booleans = Booleans::Json;
    "ids" ids: Ids = Ids::Documented;
    "key-casing" key_casing: KeyCasing = KeyCasing::Documented;
    "optional-fields" optional_fields: OptionalFields = OptionalFields::Present;
    "schedule-field" schedule_field: ScheduleField = ScheduleField::ScheduleTime;
    "time-format" time_format: TimeFormat = TimeFormat::Space;
    "promo-codes" promo_codes: PromoCodes = PromoCodes::Csv;
    "transfer" transfer: Transfer = Transfer::ContentLength;
    "page-default" page_default: Int<1, COUNT_MAX> = Int(10_000);
    "page-cap" page_cap: Int<1, COUNT_MAX> = Int(200_000);
    "page-order" page_order: PageOrder = PageOrder::Stable;
    "page-churn" page_churn: PageChurn = PageChurn::Off;
    "notify-events" notify_events: EventTypes = EventTypes(BTreeSet::new());
    "notify-duplicate" notify_duplicate: Int<0, 20> = Int(0);
    "notify-drop" notify_drop: Int<0, 100> = Int(0);
    "notify-delay-ms" notify_delay_ms: Int<0, TIME_MAX> = Int(0);
    "notify-reorder" notify_reorder: OnOff = OnOff::Off;
    "notify-retry-seconds" notify_retry_seconds: Numbers<{ TIME_MAX as u64 }> =
        Numbers(vec![60, 300, 900]);
    "notify-timeout-ms" notify_timeout_ms: Int<1, TIME_MAX> = Int(10_000);
    "notify-signature" notify_signature: Signature = Signature::Off;
    "listener-match" listener_match: ListenerMatch = ListenerMatch::Both;
    "event-type-in-body" event_type_in_body: OnOff = OnOff::On;
    "event11-casing" event11_casing: Event11Casing = Event11Casing::Camel;
    "event11-promo-code" event11_promo_code: Event11PromoCode = Event11PromoCode::Array;
    "event11-parameters" event11_parameters: Event11Parameters = Event11Parameters::Flat;
    "failing-channels" failing_channels: Numbers<{ COUNT_MAX as u64 }> = Numbers(Vec::new());
    "batch-bad-entry" batch_bad_entry: BatchBadEntry = BatchBadEntry::RefuseAll;
    "cancelled-list" cancelled_list: CancelledList = CancelledList::Window;
    "cancelled-window-seconds" cancelled_window_seconds: Int<0, TIME_MAX> = Int(7_200);
    "ended-offset-days" ended_offset_days: Int<{ -1 }, 1> = Int(0);
    "conditional-version" conditional_version: Version = Version::V1;
    "conditional-rounds" conditional_rounds: Int<1, 10> = Int(2);
    "clearance-notice-minutes" clearance_notice_minutes: Int<0, TIME_MAX> = Int(60);
    "clearance-deadline-minutes" clearance_deadline_minutes: Int<0, TIME_MAX> = Int(30);
    "late-status" late_status: LateStatus = LateStatus::Ignore;
    "gateway-version" gateway_version: Version = Version::V1;
    "gateway-timeout-ms" gateway_timeout_ms: Int<1, TIME_MAX> = Int(2_000);
    "gateway-on-timeout" gateway_on_timeout: Verdict = Verdict::Deny;
    "gateway-on-error" gateway_on_error: Verdict = Verdict::Deny;
    "gateway-ids" gateway_ids: GatewayIds = GatewayIds::Number;
    "fault-kind" fault_kind: FaultKind = FaultKind::Status500;
    "fault-percent" fault_percent: Int<0, 100> = Int(0);
    "fault-functions" fault_functions: Functions = Functions(Vec::new());
    "latency-ms" latency_ms: Int<0, TIME_MAX> = Int(0);
}

/// Largest time a switch takes, in its own unit: beyond any test, and safe to add to any instant.
const TIME_MAX: i64 = 1_000_000_000;

/// Largest count a switch takes.
const COUNT_MAX: i64 = 1_000_000_000;

impl Switches {
    /// The switches after a change that names some of them; an error changes nothing.
    pub(crate) fn changed(&self, change: &Value) -> Result<Self, String> {
        let change = change
            .as_object()
            .ok_or("switches are an object of names and values")?;
        let mut switches = self.clone();
        for (name, value) in change {
            switches.set(name, value)?;
        }
        Ok(switches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let switches = Switches::default();
        assert_eq!(switches.changed(&switches.to_json()), Ok(switches));
    }

    #[test]
    fn a_signed_switch_keeps_its_sign() {
        let change = serde_json::json!({"ended-offset-days": -1});
        let switches = Switches::default().changed(&change).unwrap();
        assert_eq!(switches.ended_offset_days.0, -1);
        assert_eq!(switches.to_json()["ended-offset-days"], -1);
    }
}
