//! The suite as tests: one list, one line for each adapter.

/// Makes a test of every scenario for one adapter, as `suite!("axum");` in a test file of this crate.
#[macro_export]
macro_rules! suite {
    ($adapter:literal) => {
        $crate::theme! { $adapter, here, lifecycle {
            OPTIONS: [
                a_close_by_the_client_leaves_nobody,
                an_empty_close_frame_is_answered,
                a_lost_network_leaves_nobody,
                a_reset_leaves_nobody,
                half_a_frame_leaves_nobody,
                a_push_and_close_says_the_last_word_and_leaves_nobody,
                a_kick_leaves_nobody,
                a_panicking_handler_ends_its_own_connection_only,
                a_connection_without_hello_is_not_listed,
                abandoned_handshakes_leave_nobody,
            ]
        } }
        $crate::theme! { $adapter, here, heartbeat {
            OPTIONS: [
                a_silent_peer_is_told_and_gone,
                a_half_open_peer_is_gone,
                an_idle_peer_that_answers_stays,
                a_json_pong_is_an_answer_too,
                pushes_are_no_life,
            ]
        } }
        $crate::theme! { $adapter, here, presence {
            OPTIONS: [
                two_tabs_of_one_token_are_one_session_with_two_connections,
                two_devices_are_two_sessions_and_can_be_meant_one_by_one,
                hello_names_the_device_where_the_token_does_not,
                a_reload_is_silent_and_a_clean_close_is_not,
                a_kick_within_the_grace_period_is_offline_at_once,
                a_user_is_away_when_every_connection_is,
                any_name_is_a_user_of_its_own,
                accounts_never_meet,
                the_rest_routes_tell_members_who_is_there,
                an_authenticated_request_counts_as_activity,
            ]
            SHORT_GRACE: [the_grace_period_ends]
        } }
        $crate::theme! { $adapter, here, push {
            OPTIONS: [
                pushes_arrive_in_order_and_once,
                a_push_has_one_id_and_the_same_content_everywhere,
                a_push_to_nobody_says_so,
                pushes_of_every_size_arrive,
                messages_reach_the_handler_in_both_modes,
                the_welcome_is_first_and_says_the_rules,
            ]
        } }
        $crate::theme! { $adapter, here, resume {
            OPTIONS: [
                a_client_that_was_cut_gets_what_it_missed_in_order_and_once,
                a_push_to_somebody_who_is_away_is_held,
                the_resume_token_of_somebody_else_is_worth_nothing,
                a_kick_ends_what_was_kept,
                who_missed_too_much_starts_afresh,
                a_listener_of_events_comes_back_by_its_last_id,
            ]
            DROPS: [a_gap_stands_for_what_a_slow_reader_lost]
        } }
        $crate::theme! { $adapter, here, channels {
            OPTIONS: [
                a_push_to_a_channel_reaches_its_subscribers_and_nobody_else,
                what_a_client_publishes_reaches_every_subscriber_the_sender_too,
                every_connection_subscribes_for_itself,
                whoever_unsubscribes_or_leaves_hears_no_more,
                a_second_subscription_and_the_end_of_none_are_told_so,
                a_channel_that_is_refused_is_named,
                names_that_cannot_be_are_refused,
                a_connection_has_so_many_channels_and_no_more,
                accounts_with_channels_of_one_name_never_meet,
                pushes_to_a_channel_keep_their_order_among_all_others,
                a_burst_is_heard_once_and_in_the_order_of_each_sender,
                requests_are_done_in_the_order_in_which_they_came,
                a_raw_client_is_in_the_channels_that_the_application_says,
                whoever_is_gone_is_in_no_channel,
            ]
        } }
        $crate::theme! { $adapter, here, feeds {
            OPTIONS: [
                a_user_joins_and_leaves,
                tabs_and_devices_of_a_user_are_one_member,
                whoever_closes_the_last_tab_is_offline,
                a_reload_is_silent,
                a_kick_is_offline_at_once,
                a_status_is_an_update,
                a_state_and_what_follows_make_the_whole,
                whoever_watches_no_more_hears_nothing,
                a_watched_user_is_told_of_without_a_channel,
                a_list_of_watched_users_has_its_rules,
            ]
            SHORT_GRACE: [a_crash_is_offline_after_the_grace_period]
            AT_ONCE: [without_a_window_each_event_is_a_frame]
            WINDOW: [many_who_come_within_the_window_are_one_frame]
            FEW: [a_large_channel_is_told_by_its_amounts]
            EXPIRY: [an_expired_token_is_offline_with_its_cause]
            HEARTBEAT: [a_silent_peer_is_offline_with_its_cause]
            REPLACE: [a_replaced_session_is_out_of_its_channels]
            SLOW: [a_watcher_that_does_not_read_costs_nobody_anything]
        } }
        $crate::theme! { $adapter, here, here_now {
            OPTIONS: [
                the_answer_is_the_seeds_to_the_letter,
                socket_and_rest_answer_with_the_same_bytes,
                users_are_listed_where_asked_once_for_each_client_or_once,
                channels_that_nobody_is_in_have_zeros,
                a_question_that_makes_no_sense_is_refused_with_what_to_send,
                who_may_not_ask_is_told_so,
                an_account_sees_its_own_channels_only,
                it_is_asked_as_every_route_is,
            ]
        } }
        $crate::theme! { $adapter, here, kick {
            OPTIONS: [
                a_kick_and_a_connect_that_race_leave_nothing_open,
                a_victim_that_does_not_read_is_cut_at_the_deadline,
                a_kick_by_token_leaves_the_other_sessions,
                a_kick_by_connection_ends_that_one,
                a_fresh_login_after_a_kick_is_welcome_and_an_old_token_is_not,
                a_ban_refuses_fresh_logins_until_it_ends,
                a_token_that_was_kicked_before_hello_is_not_welcomed,
                a_kick_of_nobody_says_so,
            ]
        } }
        $crate::theme! { $adapter, here, limits {
            REPLACE: [the_oldest_session_gives_way_and_is_told, of_many_logins_at_once_one_is_left]
            REFUSE: [the_newest_session_is_refused_and_a_tab_is_not]
        } }
        $crate::theme! { $adapter, here, expiry {
            OPTIONS: [
                a_connection_ends_with_its_token,
                a_token_whose_time_is_over_is_told_so,
                a_refresh_carries_a_connection_over_the_end_of_its_token,
                a_refresh_with_a_bad_token_changes_nothing,
            ]
            GRACE: [a_refresh_within_the_grace_after_the_end_is_taken]
            RECHECK: [a_revoked_token_is_found_by_the_recheck]
        } }
        $crate::theme! { $adapter, here, auth {
            OPTIONS: [
                a_token_may_stand_in_the_authorization_header,
                a_token_may_stand_in_a_subprotocol_and_is_never_echoed,
                a_cookie_needs_an_allowed_origin,
                a_token_may_stand_in_the_first_message,
                a_first_message_without_a_good_token_is_refused,
                a_first_message_that_does_not_come_is_not_waited_for,
                something_before_hello_is_refused,
                a_ticket_is_good_once,
                a_token_in_the_query_is_not_taken_by_default,
                two_different_credentials_are_refused_and_two_equal_ones_are_one,
                a_plain_route_knows_its_user,
                the_handle_of_a_session_is_no_credential,
            ]
            QUERY: [a_token_in_the_query_is_taken_where_it_is_switched_on]
        } }
        $crate::theme! { $adapter, here, refusal {
            OPTIONS: [
                a_401_is_the_same_for_every_reason,
                a_client_of_envelopes_sees_its_refusal,
                a_refused_client_that_stays_is_cut,
                beyond_256_visible_refusals_the_answer_is_http,
            ]
            HTTP: [a_refusal_is_http_where_visible_ones_are_off]
        } }
        $crate::theme! { $adapter, here, origin {
            SAME: [
                the_same_origin_is_admitted,
                a_request_without_an_origin_is_a_program,
                every_other_origin_is_denied,
                two_origins_are_denied,
                the_origin_is_looked_at_before_the_token,
            ]
            LIST: [a_list_admits_what_is_on_it_and_nothing_else]
        } }
        $crate::theme! { $adapter, here, upgrade {
            OPTIONS: [
                a_request_that_asks_for_no_websocket_is_told_to,
                a_malformed_handshake_is_refused_over_http,
                a_handshake_may_be_written_in_many_ways,
                exactly_one_offered_subprotocol_is_chosen,
                an_offer_without_a_common_subprotocol_is_refused,
                an_upgrade_of_a_route_that_reads_a_body_is_answered,
            ]
            ENVELOPE: [a_server_of_envelopes_refuses_raw_clients]
            RAW: [a_server_of_raw_mode_refuses_clients_of_envelopes]
        } }
        $crate::theme! { $adapter, here, mounting {
            OPTIONS: [
                everything_works_under_a_prefix,
                a_missing_layer_says_so,
                metrics_and_health_can_be_read,
                the_browser_client_is_served_once_per_version,
            ]
        } }
        $crate::theme! { $adapter, here, echo {
            OPTIONS: [
                a_message_of_every_length_comes_back,
                a_message_in_chops_comes_back,
                a_message_in_even_fragments_comes_back,
                a_length_that_is_not_in_its_shortest_form_is_refused,
                a_ping_is_answered_with_its_payload,
                a_ping_that_is_too_long_is_refused,
                a_pong_that_nobody_asked_for_is_no_ones_business,
                many_pings_are_answered_in_order,
                a_reserved_bit_is_refused,
                a_reserved_opcode_is_refused,
                what_is_reserved_is_refused_at_the_header,
                a_fragmented_control_frame_is_refused,
                fragments_come_back_as_one_message,
                a_ping_between_fragments_is_answered_at_once,
                a_message_may_stop_between_fragments,
                a_continuation_of_nothing_is_refused,
                a_continuation_after_a_message_is_refused,
                a_message_within_a_message_is_refused,
                a_text_may_be_cut_anywhere,
                text_at_every_edge_of_unicode_comes_back,
                the_whole_of_unicode_comes_back,
                the_beginning_of_a_text_is_one_only_where_a_character_ends,
                what_is_no_text_ends_its_connection,
                what_can_be_no_text_any_more_ends_its_connection_at_once,
                bytes_need_not_be_text,
                a_message_before_a_close_frame_comes_back,
                long_messages_before_a_close_frame_come_back,
                nothing_after_a_close_frame_is_heard,
                a_close_frame_is_answered_whatever_its_length,
                a_close_frame_that_is_none_is_refused,
                a_code_that_may_be_sent_is_answered_with_itself,
                a_code_that_may_not_be_sent_is_refused,
                large_messages_come_back,
                large_messages_in_fragments_come_back,
                large_messages_in_chops_come_back,
                a_thousand_messages_come_back_one_by_one,
                a_thousand_messages_at_once_come_back_in_order,
            ]
        } }
        $crate::theme! { $adapter, here, events {
            OPTIONS: [
                a_listener_is_online_and_hears_every_push,
                a_listener_that_leaves_is_gone,
                a_kicked_listener_is_told_and_stays_away,
                a_stream_ends_with_its_token,
                whoever_may_not_listen_is_refused,
                a_ticket_or_a_cookie_opens_a_stream,
            ]
            HEARTBEAT: [a_listener_is_not_taken_for_silent]
            REPLACE: [a_replaced_listener_stays_away]
        } }
        $crate::theme! { $adapter, here, slow {
            OPTIONS: [slow_readers_delay_nobody_and_are_let_go, a_slow_reader_is_told_where_it_reads_again]
            DROP_NEWEST: [drop_newest_keeps_the_oldest_pushes]
            DROP_OLDEST: [drop_oldest_keeps_the_newest_pushes]
        } }
        mod over_tls {
            $crate::theme! { $adapter, here_with_tls, slow {
                OPTIONS: [slow_readers_delay_nobody_and_are_let_go, a_slow_reader_is_told_where_it_reads_again]
            } }
            $crate::theme! { $adapter, here_with_tls, push {
                OPTIONS: [pushes_arrive_in_order_and_once, pushes_of_every_size_arrive]
            } }
            $crate::theme! { $adapter, here_with_tls, kick {
                OPTIONS: [a_kick_by_token_leaves_the_other_sessions]
            } }
            $crate::theme! { $adapter, here_with_tls, lifecycle {
                OPTIONS: [
                    a_close_by_the_client_leaves_nobody,
                    a_reset_leaves_nobody,
                    a_push_and_close_says_the_last_word_and_leaves_nobody,
                    a_kick_leaves_nobody,
                ]
            } }
        }
        $crate::theme! { $adapter, process, hostile {
            OPTIONS: [
                frames_against_the_protocol_end_their_connection,
                text_that_is_no_utf8_ends_its_connection,
                what_is_too_large_ends_its_connection,
                a_length_with_its_first_bit_set_ends_its_connection,
                a_declared_gigabyte_costs_no_memory,
                a_flood_of_pings_costs_no_memory,
                floods_are_told_to_slow_down,
                a_frame_that_trickles_in_is_understood,
                fragments_are_one_message,
                what_is_no_envelope_ends_its_connection,
                content_that_looks_like_a_kick_is_content,
                nothing_is_heard_after_a_close_frame,
                half_a_message_delays_nobody,
            ]
        } }
        $crate::theme! { $adapter, process, churn {
            OPTIONS: [twenty_thousand_connections_leave_nothing_behind]
        } }
        $crate::theme! { $adapter, until_it_ends, shutdown {
            OPTIONS: [
                a_drain_under_load_loses_nothing_that_was_accepted,
                a_draining_server_refuses_what_is_new,
            ]
        } }
    };
}

/// The tests of one theme: how its servers run, and which scenarios run with which of its options.
#[doc(hidden)]
#[macro_export]
macro_rules! theme {
    ($adapter:literal, $host:ident, $theme:ident { $($options:ident: [$($name:ident),* $(,)?])* }) => {
        mod $theme {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    use $crate::scenarios::$theme as theme;
                    $crate::on_server!($host, $adapter, theme::$options, theme::$name);
                }
            )*)*
        }
    };
}

/// Makes a test of every scenario of several nodes for one engine, as `cluster_suite!(Cluster::local);`: the argument starts a
/// cluster with options, whose nodes are each on another framework, and yields what it stands on beside it.
#[macro_export]
macro_rules! cluster_suite {
    ($start:path) => {
        $crate::cluster_theme! { $start, stopped {
            OPTIONS: [
                everybody_is_seen_from_everywhere,
                tabs_on_two_nodes_are_one_user,
                pushes_reach_every_node,
                a_kick_ends_connections_on_every_node,
                a_kick_on_another_node_leaves_nothing_open,
                a_channel_is_one_channel_on_all_nodes,
                a_watched_user_is_told_of_from_every_node,
                a_ticket_is_good_once_on_any_node,
                a_client_comes_back_to_any_node,
            ]
            ONE: [a_session_on_another_node_gives_way, of_many_sessions_that_race_one_is_left]
            REFUSE: [never_are_two_let_in_where_one_may_be]
        } }
        $crate::cluster_theme! { $start, stops_itself {
            OPTIONS: [a_node_drains_and_its_clients_miss_nothing]
        } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! cluster_theme {
    ($start:path, $how:ident { $($options:ident: [$($name:ident),* $(,)?])* }) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                use $crate::scenarios::nodes;
                // What a cluster needs ends after it.
                let (cluster, _store) = $start(nodes::$options).await;
                $crate::on_cluster!($how, cluster, nodes::$name);
            }
        )*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! on_cluster {
    (stopped, $cluster:ident, $run:expr) => {
        $run(&$cluster).await;
        $cluster.stop().await;
    };
    (stops_itself, $cluster:ident, $run:expr) => {
        $run($cluster).await;
    };
}

/// Starts a server, runs one scenario on it, and ends it.
#[doc(hidden)]
#[macro_export]
macro_rules! on_server {
    (here, $adapter:literal, $options:expr, $run:expr) => {
        let server = $crate::Server::here($adapter, $options).await;
        $run(&server).await;
        server.stop().await;
    };
    (here_with_tls, $adapter:literal, $options:expr, $run:expr) => {
        let server = $crate::Server::here_with_tls($adapter, $options).await;
        $run(&server).await;
        server.stop().await;
    };
    (process, $adapter:literal, $options:expr, $run:expr) => {
        let binary = env!("CARGO_BIN_EXE_conformance-server");
        let server = $crate::Server::process(binary, $adapter, $options).await;
        $run(&server).await;
        server.stop().await;
    };
    (until_it_ends, $adapter:literal, $options:expr, $run:expr) => {
        let binary = env!("CARGO_BIN_EXE_conformance-server");
        $run($crate::Server::process(binary, $adapter, $options).await).await;
    };
}
