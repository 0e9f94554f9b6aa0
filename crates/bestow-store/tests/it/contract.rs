//! What every engine must do alike. Each function takes a fresh store; [`stamp!`] makes them tests
//! of one engine.

pub(crate) mod ahead;
pub(crate) mod announcements;
pub(crate) mod archives;
pub(crate) mod audit;
pub(crate) mod batches;
pub(crate) mod calls;
pub(crate) mod campaigns;
pub(crate) mod cancellations;
pub(crate) mod catalogue;
pub(crate) mod clearance;
pub(crate) mod codes;
pub(crate) mod endings;
pub(crate) mod exclusions;
pub(crate) mod guards;
pub(crate) mod imports;
pub(crate) mod inbox;
pub(crate) mod jobs;
pub(crate) mod ledger;
pub(crate) mod merging;
pub(crate) mod offers;
pub(crate) mod ranges;
pub(crate) mod redemptions;
pub(crate) mod stops;
pub(crate) mod tenants;
pub(crate) mod transactions;
pub(crate) mod triggers;
pub(crate) mod verify;
pub(crate) mod zones;

/// The whole contract as tests of the engine whose fresh stores `$fresh` makes. A function that is
/// not listed here is dead code, which the lints refuse.
macro_rules! stamp {
    ($engine:ident, $fresh:path) => {
        $crate::contract::stamp! { @families $engine, $fresh;
            tenants: numbers_count_up, update_keeps_identity, pages_by_id,
                suspension_comes_and_goes, listeners_rotate, tokens_are_refused_once_revoked;
            inbox: repeat_counts_an_arrival, many_at_once_are_one_row, a_group_counts_its_repeats_once, identity_is_per_tenant,
                waiting_come_oldest_first, waiting_tenants_tell_their_oldest, settling,
                unknown_status_is_refused, filters_and_pages;
            catalogue: first_spelling_stays, pages_by_code, synced_name_survives_changes,
                unknown_codes_hold_their_campaigns,
                added_there_comes_and_goes, unread_campaigns;
            exclusions: exact_and_per_tenant, from_one_promotion_or_from_all;
            stops: each_stops_by_itself;
            guards: what_is_decided_covers_what_was_in_view, whoever_asks_to_see_is_kept,
                earlier_runs_are_those_let_through, who_waits_is_found;
            archives: a_closed_campaign_takes_nothing_in, what_was_used_stays, rows_leave_page_by_page,
                ends_leave_with_their_grants,
                what_left_since_the_page_was_matched_is_not_ended, who_lost_the_job_drops_nothing,
                what_is_to_be_done_keeps_a_campaign;
            announcements: silence_without_a_destination, grants_are_noted_with_their_transaction,
                starts_and_ends_come_in_the_order_of_time, starts_of_suspended_campaigns_wait,
                a_wider_window_replaces_what_was_to_be_told, a_destination_hears_from_its_making_on,
                deliveries_are_planned_once, tries_are_written_down, deliveries_take_no_turns,
                what_was_delivered_long_ago_goes;
            clearance: one_round_for_one_deadline, cursors_only_move_on, stopped_campaign_reports_nothing,
                grant_follows_its_round, denied_may_be_approved_later, rounds_stay_out_of_lists,
                lists_are_read_anew_once, only_scheduled_becomes_conditional;
            codes: loaded_in_order_without_repeats, every_grant_gives_the_next_code,
                void_codes_are_passed_over, known_grants_take_no_code, two_campaigns_share_no_code,
                without_codes_pairs_wait_and_are_granted_once, waiting_pairs_count_on,
                fallback_is_given_once_the_pool_is_empty, released_pairs_may_wait_for_a_code,
                code_is_found_by_its_key, pools_are_low_by_share, codes_and_grants_must_agree;
            batches: made_once_however_often_asked;
            campaigns: seen_twice_is_one, first_kind_stays, numbers_are_per_tenant, details_have_versions,
                errors_are_noted, suspension_can_be_lifted, revocation_is_final, counters_add_up,
                pages_by_number;
            zones: windows_that_started_stay, campaign_ends_with_its_moved_windows,
                windows_are_told_apart_by_the_wall, windows_of_another_zone_are_fixed, tenants_note_their_zone_data,
                who_hears_of_grants_hears_of_moved_windows;
            offers: offer_is_made_once, the_newest_campaigns_of_a_code_come_first, offer_numbers_run_through_a_tenant, offer_holds_until_let,
                window_is_made_once, windows_end_never_moves_back,
                numbers_have_no_gap_under_contention;
            jobs: longest_due_first, claimed_is_not_claimed_again, expired_lease_is_claimed_anew,
                stale_token_is_refused_everywhere, wanted_while_claimed_runs_again,
                wanted_sooner_moves_forward, finish_with_next_stays, failing_keeps_the_error,
                holding_forgets_failures, suspended_tenant_waits, deployment_needs_no_tenant,
                leases_are_released_at_start, many_claimers_share_nothing,
                kinds_tell_who_has_none, each_tenant_has_its_turn,
                resting_tenant_waits_and_is_on_trial, failed_jobs_are_hastened,
                token_never_comes_again, leases_of_the_gone_are_released,
                a_job_keeps_what_asked_for_it;
            calls: all_together_stay_below_the_limit, what_was_not_made_is_free_at_once,
                the_same_number_is_the_same_slice, one_logs_in_for_all, refused_login_rests,
                logins_are_a_second_apart;
            imports: wanted_once, page_lands_once, cursor_decides, passes_count_apart,
                pages_count_over_channels, held_rows_count_in_the_first_pass,
                each_page_has_its_record, states_are_kept, held_import_goes_on;
            ranges: parts_land_in_any_order, what_is_held_takes_no_page, a_new_pass_forgets_the_parts;
            merging: chunk_counts_once, known_grants_are_repeats, chunk_brings_windows,
                chunk_widens, confirming_pairs_are_counted, end_moves_the_mark,
                release_twice_is_once, only_confirmed_rows_are_dropped;
            ledger: pages_by_offer, code_is_looked_up, grant_tells_its_facts, letter_case_is_kept,
                tenants_do_not_mix;
            cancellations: is_settled_once, a_person_comes_first, needs_the_lease,
                a_persons_suspension_stays, pairs_are_looked_up, the_next_notice_counts_as_new,
                list_is_compared_again;
            endings: page_lands_once, another_reading_counts_anew, stale_reader_is_refused,
                days_follow_the_first_campaign, campaigns_count_their_ends, offers_in_use,
                ends_must_refer_and_add_up;
            audit: no_gap_under_contention, no_gap_after_a_refusal, pages_by_place,
                a_record_names_what_its_task_came_from, findings_open_and_close;
            triggers: trigger_is_kept_once, held_pairs_wait_in_the_order_they_came,
                reservations_take_room_once, lapsed_reservations_give_room_back_step_by_step,
                minutes_are_counted_and_forgotten, only_what_was_never_read_becomes_triggered,
                the_gateway_remembers_who_registered_and_who_asked, approvals_leave_in_their_order,
                outcomes_must_be_what_is_counted;
            ahead: steps_are_the_same_with_and_without, of_many_who_ask_together_only_as_many_as_there_is_room,
                grants_are_read_ahead_too, look_ups_that_wait_together_get_their_own;
            redemptions: answers_are_kept_once_per_key, redemption_is_found_and_undone_once,
                unknown_grant_cannot_be_used, grant_is_in_one_cart_at_a_time,
                terms_of_a_redemption_are_read_at_once, uses_must_add_up;
            verify: good_ledger_is_silent, counts_must_add_up, granted_must_be_in_the_ledger,
                grants_must_refer, rows_must_have_landed, audit_must_have_no_gap;
            transactions: error_undoes_its_writes, reads_see_one_snapshot,
                change_mark_moves_with_commits, committed_is_there_after_reopening;
        }
    };
    (@families $engine:ident, $fresh:path; $($family:ident: $($case:ident),+;)+) => {
        mod $engine {
            $(mod $family {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$family::$case($fresh()).await;
                })+
            })+
        }
    };
}
pub(crate) use stamp;
