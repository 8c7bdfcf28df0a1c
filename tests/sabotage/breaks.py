"""The table: what is broken, the row of the design's torture that it belongs to, and the tests that must turn red.

Each break is a patch of that name under ``patches/``, whose first line says what it breaks. Every test that is named here
must notice it by itself; where one has several cases, one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Break:
    """One thing that is broken."""

    name: str
    row: str
    tests: tuple[str, ...]
    watched: tuple[str, ...] = ()
    """Further tests, which watch a real server by strace: not for each commit, and not where there is no strace."""


_ANTI_ENTROPY = "tests/usecases/test_anti_entropy.py::"
_COMMITS = "tests/store/test_commits.py::"
_DISK = "tests/store/test_disk.py::"
_OPENING = "tests/store/test_opening.py::"
_STORE_REPLICA = "tests/store/test_replica.py::"
_ORDER = "tests/torture/test_order_lint.py::test_nothing_is_acknowledged_before_it_is_durable"
_MERGE = "tests/decisions/test_merge.py::"
_CLEARANCE = "tests/usecases/test_clearance.py::"
_DOWNLOADS = "tests/usecases/test_downloads.py::"
_RECEIVE = "tests/test_remote_receive.py::"
_FRONT = "tests/http/test_front.py::"
_DEADLINES = "tests/http/test_front_deadlines.py::"

BREAKS: Sequence[Break] = [
    Break("no-file-fsync", "D1 D5", (_DISK + "test_a_large_blob_is_durable_before_its_row",), (_ORDER,)),
    Break("no-directory-fsync", "D1 D5", (_DISK + "test_a_large_blob_is_durable_before_its_row",), (_ORDER,)),
    Break("no-parent-fsync", "D1 D5", (_DISK + "test_the_parents_of_new_directories_are_synced_once",), (_ORDER,)),
    Break("early-directory-fsync", "D1", (_DISK + "test_a_large_blob_is_durable_before_its_row",), (_ORDER,)),
    Break("synchronous-normal", "D1 D5", (_DISK + "test_every_commit_is_synced_and_checkpoints_are_ours",), (_ORDER,)),
    Break("answer-before-commit", "D1 D2", (_COMMITS + "test_what_is_answered_is_committed",), (_ORDER,)),
    Break(
        "cold-reads-hold-up-all",
        "I21",
        ("tests/store/test_warming.py::test_a_blob_that_has_to_be_read_keeps_nobody_waiting",),
    ),
    Break("row-before-rename", "D2 D9", (_DISK + "test_a_large_blob_is_durable_before_its_row",)),
    Break(
        "commit-after-failed-fsync",
        "D3",
        (_DISK + "test_a_failed_fsync_is_final", _DISK + "test_a_commit_that_fails_is_final"),
    ),
    Break("backup-keeps-its-round", "F19", ("tests/store/test_backup.py::test_a_backup_has_missed_the_last_round",)),
    Break(
        "started-is-not-seen",
        "F19",
        (
            _ANTI_ENTROPY + "test_who_was_started_since_it_was_asked_has_not_completed_the_round",
            _ANTI_ENTROPY + "test_who_was_started_while_a_round_went_on_has_not_completed_it",
        ),
    ),
    Break(
        "newcomer-is-believed",
        "F19",
        (
            "tests/usecases/test_cluster.py::test_who_was_opened_anew_is_not_read_from_before_its_peers_were_asked",
            "tests/cluster/test_joining.py::test_an_old_copy_is_not_believed_however_soon_it_is_put_back",
        ),
    ),
    Break(
        "no-healing-from-elsewhere", "I14", ("tests/usecases/test_healing.py::test_a_chunk_is_healed_from_another_group",)
    ),
    Break("write-in-place", "D2 F15", (_DISK + "test_bytes_that_come_again_replace_those_held",)),
    Break("serial-used-twice", "D2 F15", (_OPENING + "test_a_serial_is_never_used_twice",)),
    Break(
        "unlink-before-commit",
        "D2 F15 I24",
        (
            _DISK + "test_what_a_failed_commit_would_have_replaced_stays",
            _STORE_REPLICA + "test_the_file_goes_after_the_commit",
        ),
    ),
    Break("no-unlink-table", "D2 I24", (_STORE_REPLICA + "test_a_file_that_could_not_be_unlinked_goes_at_the_next_start",)),
    Break("staging-not-emptied", "F1", (_OPENING + "test_staging_is_emptied_at_the_start",)),
    Break("no-checkpoint-at-start", "D5", (_OPENING + "test_the_wal_is_in_the_database_before_anything_is_served",)),
    Break("scrub-skips-small-blobs", "D11 I14", ("tests/store/test_scrub.py::test_each_byte_of_a_small_blob_counts",)),
    Break("scrub-skips-files", "D11 I14", ("tests/store/test_scrub.py::test_two_files_that_changed_places_are_both_found",)),
    Break("damage-is-404", "I6 F24", (_DISK + "test_a_harmed_file_is_damage",)),
    Break(
        "merge-takes-the-older",
        "I26 F16",
        (
            _MERGE + "test_a_late_copy_loses_to_a_tombstone",
            "tests/contracts/test_replicas.py::test_a_late_copy_loses_to_a_tombstone",
        ),
    ),
    Break("merge-ties-by-arrival", "I26 F26", (_MERGE + "test_order_does_not_matter",)),
    Break("tie-of-live-and-tombstone", "I26 F44", (_MERGE + "test_a_tombstone_beats_a_live_entry_of_its_version",)),
    Break(
        "digest-without-state",
        "I25",
        ("tests/decisions/test_buckets.py::test_every_field_that_members_must_agree_on_is_in_the_digest",),
    ),
    Break(
        "digest-without-metadata",
        "I25 F26",
        ("tests/decisions/test_buckets.py::test_every_field_that_members_must_agree_on_is_in_the_digest",),
    ),
    Break("books-forget-what-goes", "I25 D12", ("tests/contracts/test_replicas.py::test_the_root_forgets_what_has_gone",)),
    Break("tombstone-dropped-by-age", "F18", (_CLEARANCE + "test_a_member_that_is_away_keeps_the_tombstones_alive",)),
    Break(
        "tombstone-of-another-group-ignored", "F18 F39", (_CLEARANCE + "test_a_newer_live_copy_in_another_group_keeps_it",)
    ),
    Break("ghosts-pushed", "F19", (_CLEARANCE + "test_an_old_copy_of_a_member_is_no_source_of_what_was_forgotten",)),
    Break("no-hash-on-fetch", "D11 B9", (_DOWNLOADS + "test_wrong_bytes_of_one_member_are_never_seen",)),
    Break("no-hash-on-long-fetch", "D11 B9", (_DOWNLOADS + "test_wrong_bytes_of_a_long_object_never_end_well",)),
    Break("no-hash-in-the-store", "D11", (_DISK + "test_other_bytes_in_the_database_are_damage",)),
    Break(
        "no-hash-on-replication",
        "F25",
        (
            "tests/cluster/test_old_contract.py::test_wrong_bytes_of_an_old_server_are_not_copied",
            "tests/cluster/test_old_contract.py::test_wrong_bytes_are_not_copied_to_an_old_server",
        ),
    ),
    Break(
        "no-hash-on-arrival",
        "F25 H46",
        ("tests/contracts/test_blobstore.py::test_what_differs_from_its_declaration_is_refused",),
    ),
    Break(
        "no-hash-in-a-batch",
        "F25 H46",
        ("tests/contracts/test_batches.py::test_one_that_is_refused_does_not_hold_up_the_others",),
    ),
    Break(
        "batch-answered-before-commit",
        "D1 D2",
        ("tests/store/test_in_batches.py::test_a_batch_is_answered_when_all_of_it_is_committed",),
    ),
    Break(
        "batch-not-held-against-its-names",
        "B15",
        ("tests/test_remote_batches.py::FetchingTests::test_what_was_not_asked_for_is_no_answer",),
    ),
    Break(
        "batch-bytes-passed-on",
        "B15 F25",
        ("tests/usecases/test_batches.py::test_the_bytes_are_held_against_what_was_listed",),
    ),
    Break(
        "coalesced-outcomes-of-others",
        "I1 I3",
        ("tests/usecases/test_coalescing.py::test_those_that_come_meanwhile_go_together",),
    ),
    Break("short-body-taken", "H29 I3", ("tests/contracts/test_blobstore.py::test_a_body_that_ends_early_is_refused",)),
    Break(
        "status-ignored",
        "B7 F31",
        (
            _RECEIVE + "Receiving::test_no_other_2xx_is_an_acknowledgement",
            "tests/cluster/test_liars.py::test_a_lie_is_no_copy",
        ),
    ),
    Break(
        "acknowledgement-not-read",
        "B5 B6",
        (_RECEIVE + "Receiving::test_an_answer_that_speaks_of_other_bytes_is_no_acknowledgement",),
    ),
    Break("early-200-is-an-ack", "B5", (_RECEIVE + "Receiving::test_an_early_200_is_none_though_every_byte_was_out",)),
    Break(
        "one-store-counted-twice",
        "F21 I7",
        (
            "tests/decisions/test_tally.py::test_copies_are_counted_by_store_and_old_servers_by_url",
            "tests/usecases/test_group_write.py::test_one_store_under_two_urls_is_one_copy",
        ),
    ),
    Break("refusals-counted", "F31 I7", ("tests/usecases/test_copies.py::test_too_few_copies_are_never_acknowledged",)),
    Break("404-for-silence", "F8", (_DOWNLOADS + "test_not_found_is_said_only_when_no_acknowledged_copy_can_hide",)),
    Break(
        "404-of-a-joining-member",
        "F20",
        ("tests/cluster/test_joining.py::test_a_member_that_lost_its_disk_denies_nothing_until_it_is_filled",),
    ),
    Break(
        "memory-outlives-a-commit",
        "I5",
        ("tests/store/test_recent.py::test_what_a_write_changed_is_seen_as_soon_as_it_is_durable",),
    ),
    Break(
        "404-after-half-a-round",
        "F20",
        ("tests/cluster/test_joining.py::test_a_round_that_does_not_meet_all_lets_nobody_deny_who_lost_its_disk",),
    ),
    Break("short-answer-is-whole", "B1", ("tests/http/test_client.py::BadAnswers::test_an_answer_that_ends_early_fails",)),
    Break("upgraded-body-is-a-request", "H23", (_FRONT + "RefusedRequests::test_bad_heads_in_one_segment",)),
    Break("trailers-merged", "H39", (_FRONT + "TakenRequests::test_in_one_segment",)),
    Break("gzip-chunked", "H33", (_FRONT + "RefusedRequests::test_bad_heads_in_one_segment",)),
    Break("match-for-fullmatch", "H42", ("tests/words/test_blob.py::test_nothing_else_is_an_id",)),
    Break("no-header-deadline", "H61", (_DEADLINES + "Deadlines::test_h61_a_client_that_says_nothing",)),
    Break("no-body-rate", "H62", (_DEADLINES + "Deadlines::test_h62_a_body_at_a_byte_a_second",)),
    Break("no-progress-deadline", "H63", (_DEADLINES + "Deadlines::test_h63_a_client_that_does_not_read_is_dropped",)),
    Break(
        "producer-not-paused",
        "H63 I18",
        ("tests/http/test_front_streams.py::Answers::test_a_producer_is_paused_in_mid_answer",),
    ),
    Break(
        "transport-not-paused", "I18", ("tests/http/test_front_streams.py::Bodies::test_a_paused_body_pauses_the_transport",)
    ),
    Break(
        "disk-not-waited-for",
        "I18",
        ("tests/store/test_staging.py::test_the_producer_is_paused_when_much_waits_to_be_written",),
    ),
    Break(
        "upload-memory-passed",
        "F41",
        ("tests/decisions/test_budget.py::test_when_half_of_it_is_used_up_the_oldest_go_on_alone",),
    ),
    Break(
        "download-memory-passed",
        "F41",
        ("tests/usecases/test_chunked_downloads.py::test_memory_is_waited_for_and_nobody_is_refused",),
    ),
    Break(
        "manifest-before-its-chunks",
        "F32",
        ("tests/usecases/test_chunked_uploads.py::test_no_manifest_is_written_before_the_last_chunk_is_durable",),
    ),
    Break("sweep-without-version", "F33", ("tests/contracts/test_sweepable.py::test_a_renewed_chunk_stays",)),
    Break("sweep-without-age", "F33", ("tests/contracts/test_sweepable.py::test_a_chunk_that_was_taken_lately_stays",)),
    Break(
        "home-not-asked-last",
        "I6",
        ("tests/usecases/test_strays.py::test_what_is_carried_home_while_it_is_looked_for_is_found",),
    ),
    Break(
        "sweep-without-strays-first",
        "I6 F33",
        ("tests/usecases/test_sweep.py::test_a_manifest_that_is_carried_home_meanwhile_counts",),
    ),
    Break("sweep-without-a-group", "F34", ("tests/usecases/test_sweep.py::test_a_group_out_of_reach_hinders_it",)),
    Break(
        "round-ends-its-timer",
        "F30",
        ("tests/services/test_timer.py::RoundTimerTests::test_a_bad_round_is_logged_and_the_next_one_comes",),
    ),
    Break("version-by-wall-clock", "F13 F14", ("tests/words/test_versions.py::test_ticks_only_grow",)),
    Break(
        "clock-not-moved",
        "F13",
        (
            "tests/words/test_versions.py::test_a_tick_is_newer_than_what_was_seen",
            "tests/usecases/test_clocks.py::test_what_was_asked_later_wins_whatever_the_wall_clocks",
        ),
    ),
    Break(
        "round-takes-all-turns",
        "I21",
        (
            "tests/store/test_turns.py::test_where_users_ask_a_step_is_one_piece_and_it_rests_for_longer_than_that_took",
            "tests/store/test_in_batches.py::test_while_a_batch_is_read_others_have_their_turn",
            "tests/store/test_scrub.py::test_while_rows_are_looked_at_others_have_their_turn",
        ),
    ),
    Break(
        "unknown-internal-header",
        "S7",
        ("tests/web/test_blobs.py::BlobServerTests::test_an_internal_header_that_nobody_knows_is_refused",),
    ),
    Break(
        "internal-headers-in-public",
        "S7",
        (
            "tests/web/test_upload.py::UploadTests::test_an_internal_header_is_refused",
            "tests/web/test_download.py::DownloadTests::test_an_internal_header_is_refused_and_none_is_sent",
        ),
    ),
    Break(
        "traceback-of-a-handler",
        "S10",
        ("tests/web/test_upload.py::UploadTests::test_a_fault_of_ours_is_500_without_a_word_of_what_it_was",),
    ),
    Break(
        "traceback-of-a-resource",
        "S10",
        ("tests/http/test_front_stock.py::StockResources::test_an_exception_is_a_500_that_tells_nothing",),
    ),
]
