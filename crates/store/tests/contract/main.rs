//! What every backend promises: each claim is written once and tested on each of them.

mod attempts;
mod chunks;
mod keys;
mod lists;
mod place;
mod songs;
mod uploads;

/// Makes a test of every claim for every backend.
macro_rules! claims {
    ($($module:ident: $($claim:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    let place = crate::place::Place::new(store::testing::TestDatabase::sqlite()).await;
                    crate::$module::$claim(&place).await;
                }
            )*)*
        }

        mod mongodb {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $claim() {
                    let place = crate::place::Place::new(store::testing::TestDatabase::mongodb()).await;
                    crate::$module::$claim(&place).await;
                }
            )*)*
        }
    };
}

claims! {
    songs:
        a_song_reads_back_as_it_was_inserted
        a_song_with_every_field_reads_back
        texts_mean_themselves_and_nothing_else
        a_song_is_inserted_only_once
        an_unknown_song_is_nothing_and_cannot_be_changed
        a_description_replaces_all_of_the_one_before
        a_description_for_a_stale_version_changes_nothing
        of_descriptions_for_one_version_one_wins
        every_change_raises_the_version_and_the_time
        a_removed_song_is_gone_for_every_reader
        another_store_sees_what_was_written
        a_newer_song_is_refused_and_left_alone
        what_a_file_turned_out_to_be_is_told_once_and_from_the_right_version
        songs_are_found_by_the_hash_of_their_file
        a_store_that_answers_says_so;
    attempts:
        an_attempt_is_refused_while_another_ones_lease_runs
        an_attempt_begins_where_a_lease_has_ended_and_retires_what_had_it
        of_attempts_that_begin_at_once_one_does
        a_failed_song_is_processed_again
        a_ready_song_stays_ready_during_an_attempt
        renewing_extends_the_lease_and_tells_the_progress
        a_commit_makes_the_song_ready
        a_commit_retires_the_revision_before
        of_attempts_that_commit_at_once_exactly_one_wins
        a_repeated_commit_says_yes_and_changes_nothing
        an_attempt_that_lost_its_lease_has_no_say
        an_attempt_hears_that_its_song_was_removed
        a_song_removed_during_ingest_stays_removed
        a_failed_first_attempt_makes_a_failed_song
        an_attempt_that_was_renewed_does_not_end_as_expired
        a_failed_later_attempt_leaves_the_song_ready
        a_revision_superseded_twice_leaves_both_to_be_removed
        expired_songs_are_those_whose_lease_has_ended
        removable_revisions_are_those_whose_time_has_come
        a_forgotten_revision_is_not_named_again;
    chunks:
        a_chunk_reads_back_to_the_byte
        a_chunk_of_the_largest_size_reads_back
        a_chunk_above_the_largest_size_is_refused
        an_unknown_chunk_is_nothing
        a_chunk_put_again_has_its_new_bytes
        many_chunks_put_at_once_are_all_there
        one_chunk_put_by_many_at_once_is_whole
        a_removed_group_leaves_its_neighbours_alone
        a_song_s_chunks_go_together_and_no_others
        removing_more_chunks_than_one_batch_leaves_none
        removing_what_is_not_there_is_harmless
        an_original_is_read_at_any_offset
        groups_are_listed_in_the_order_of_their_keys
        groups_go_on_after_any_group
        a_chunk_that_has_changed_is_not_read
        a_chunk_that_comes_under_another_key_is_not_read
        a_part_of_an_original_that_has_changed_is_not_read
        a_chunk_without_a_checksum_is_read_as_it_is
        a_group_names_the_chunks_that_are_there
        a_newer_chunk_is_refused;
    uploads:
        an_upload_reads_back_as_it_was_inserted
        the_uploads_that_are_counted_are_those_that_have_not_expired
        an_offset_moves_from_where_it_is_only
        of_offsets_that_move_at_once_one_does
        an_upload_that_was_given_more_time_is_not_removed
        uploads_are_listed_in_pages_by_their_ids
        a_newer_upload_is_refused_and_left_alone
        of_chunks_written_new_at_once_one_is_and_stays;
    keys:
        of_requests_with_one_key_at_once_one_has_it
        a_key_is_free_once_its_lease_ended_unanswered_or_it_expired
        a_released_or_expired_key_is_forgotten;
    lists:
        songs_come_newest_first
        a_list_holds_one_status_only
        pages_join_to_the_whole_list
        a_page_of_nothing_is_empty
        a_list_goes_on_after_its_cursor_s_song_is_gone
        an_album_comes_by_disc_and_track_and_then_by_age
        pages_of_an_album_join_over_equal_positions
        an_album_is_taken_to_the_letter
        a_search_minds_neither_case_nor_accents
        every_word_asked_for_begins_a_word_of_the_song
        one_word_of_a_song_meets_the_whole_of_a_word_asked_for
        a_search_comes_newest_first_and_in_pages
        a_search_within_an_album_keeps_its_order
        a_song_is_found_by_what_it_is_called_now
        no_page_repeats_or_misses_a_song_while_others_are_inserted;
}
