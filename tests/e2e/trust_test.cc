// Who may join an encrypted cluster and who may not, by real processes: tickets that are good, wrong, expired, used and revoked;
// nodes that were forgotten; neighbours without encryption. Each refusal says its cause and what to do.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "node/client_machine.h"
#include "tests/e2e/process.h"
#include "tests/e2e/stories.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kLimit{60};

std::string rse_binary() { return find_binary("rse"); }
std::string node_binary() { return find_binary("rse-node"); }
std::string free_address() { return fmt::format("127.0.0.1:{}", free_port()); }
bool says(const Finished& finished, const std::string& words) { return finished.output.find(words) != std::string::npos; }

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What `rse WORDS --control ...` printed.
Finished rse(const LocalCluster& cluster, std::size_t node, std::vector<std::string> words) {
  words.insert(words.begin(), rse_binary());
  words.insert(words.end(), {"--control", cluster.control(node)});
  return run_program(words, kLimit);
}

std::string new_ticket(const LocalCluster& cluster, std::size_t node, const std::string& ttl = "10m") {
  const Finished made = rse(cluster, node, {"ticket", "create", "--ttl", ttl});
  std::smatch found;
  const bool has = std::regex_search(made.output, found, std::regex("rse1_[A-Za-z0-9_-]+"));
  CHECK_MESSAGE(has, made.output);
  return has ? found.str() : "";
}

/// A node that joins with `ticket`; ended when it is a member, or has said `until`.
Finished join(const std::string& ticket, const std::string& peer, const std::string& data, const std::string& until = "this node is a member") {
  return run_program({"/usr/bin/env", "RSE_TICKET=" + ticket, node_binary(), "--peer", peer, "--data-dir", data, "--listen", free_address()},
                     kLimit, until);
}

/// Every link of every node that is up carries what `encrypted` says.
bool links_are(LocalCluster& cluster, bool encrypted) {
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    const auto status = cluster.status_of(node);
    if (!status || status->self().encrypted() != encrypted) return false;
    int up = 0;
    for (const v1::LinkStatus& link : status->links()) {
      if (!link.connected()) continue;
      ++up;
      if (link.cipher().empty() == encrypted) return false;
    }
    if (up != 2) return false;
  }
  return true;
}

TEST_CASE("nobody asks for it and all is encrypted: founded, joined by ticket, killed in turn, and the result is identical") {
  for (const char* transport : {"tcp", "udp"}) {
    CAPTURE(transport);
    LocalCluster cluster({.transport = transport});
    const std::string failure = start_busy(cluster);
    REQUIRE_MESSAGE(failure.empty(), failure);
    CHECK(links_are(cluster, true));
    const Finished status = rse(cluster, 0, {"status"});
    CHECK_MESSAGE(!says(status, "not encrypted"), status.output);
    const auto measured = [](const v1::StatusReply& reply) {
      return std::all_of(reply.links().begin(), reply.links().end(), [](const v1::LinkStatus& link) {
        return !link.connected() || (link.rtt_p50_nanoseconds() > 0 && link.rtt_p99_nanoseconds() >= link.rtt_p50_nanoseconds() && link.packets_sent() > 0);
      });
    };
    CHECK(cluster.wait_for(measured, kStoryLimit));
    kill_each_in_turn(cluster, 20);
    CHECK(links_are(cluster, true));
  }
}

TEST_CASE("an observer joins an encrypted cluster by ticket as any other node, and its links are encrypted too") {
  LocalCluster cluster({.nodes = {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "o", .durable = false, .observer = true}}});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE_MESSAGE(run_on(cluster, 20), log_tails(cluster));
  const auto status = cluster.status_of(3);
  REQUIRE(status);
  int up = 0;
  for (const v1::LinkStatus& link : status->links()) {
    up += link.connected();
    CHECK(link.cipher().empty() != link.connected());
  }
  CHECK(up == 3);
  CHECK(status->view().admitted_size() == 4);
}

TEST_CASE("with --insecure nothing is encrypted, nobody needs a ticket, and status says so") {
  for (const char* transport : {"tcp", "udp", "ivshmem"}) {
    CAPTURE(transport);
    LocalCluster cluster({.flags = {"--insecure"}, .transport = transport});
    const std::string failure = start_busy(cluster);
    REQUIRE_MESSAGE(failure.empty(), failure);
    CHECK(links_are(cluster, false));
    const Finished status = rse(cluster, 0, {"status"});
    CHECK_MESSAGE(says(status, "not encrypted (--insecure)"), status.output);
    const Finished ticket = rse(cluster, 0, {"ticket", "create"});
    CHECK(ticket.exit_code == 1);
    CHECK_MESSAGE(says(ticket, "this cluster is open (--insecure)"), ticket.output);
    CHECK_FALSE(std::filesystem::exists(cluster.directory() + "/a/key"));
  }
}

TEST_CASE("tickets: a good one lets one node join, and a used, revoked, expired, foreign, damaged or missing one says so") {
  LocalCluster cluster({.nodes = {{.name = "solo"}}});
  LocalCluster other({.nodes = {{.name = "other"}}});
  REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
  REQUIRE_MESSAGE(other.start() == "", log_tails(other));
  const TemporaryFolder folder;
  const std::string peer = cluster.address(0);

  const std::string ticket = new_ticket(cluster, 0);
  const Finished joined = join(ticket, peer, folder.path("first"));
  CHECK_MESSAGE(says(joined, "this node is a member"), joined.output);
  CHECK(joined.exit_code == 0);
  const Finished again = run_program({node_binary(), "--data-dir", folder.path("first"), "--listen", free_address()}, kLimit,
                                     "this node is a member");
  CHECK_MESSAGE(says(again, "this node is a member"), again.output);  // by its key
  const Finished used = join(ticket, peer, folder.path("second"), "");
  CHECK(used.exit_code == 1);
  CHECK_MESSAGE(says(used, "it has been used; make a new ticket on a member: rse ticket create"), used.output);

  const std::string brief = new_ticket(cluster, 0, "1s");
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (!says(rse(cluster, 0, {"ticket", "list"}), "expired") && std::chrono::steady_clock::now() < end) wait_a_little();
  const Finished expired = join(brief, peer, folder.path("second"), "");
  CHECK(expired.exit_code == 1);
  CHECK_MESSAGE(says(expired, "it expired at 20"), expired.output);

  const std::string taken_back = new_ticket(cluster, 0);
  const Finished list = rse(cluster, 0, {"ticket", "list"});
  std::smatch found;
  REQUIRE_MESSAGE(std::regex_search(list.output, found, std::regex("([0-9a-f]{16})  1/1    good")), list.output);
  const Finished revoked = rse(cluster, 0, {"ticket", "revoke", found[1].str()});
  CHECK_MESSAGE(revoked.exit_code == 0, revoked.output);
  const Finished refused = join(taken_back, peer, folder.path("second"), "");
  CHECK(refused.exit_code == 1);
  CHECK_MESSAGE(says(refused, "it has been revoked; make a new ticket"), refused.output);
  CHECK(rse(cluster, 0, {"ticket", "revoke", "0123456789abcdef"}).exit_code == 1);
  CHECK(rse(cluster, 0, {"ticket", "revoke", taken_back}).exit_code == 2);

  const Finished foreign = join(new_ticket(other, 0), peer, folder.path("second"), "");
  CHECK(foreign.exit_code == 1);
  CHECK_MESSAGE(says(foreign, "the ticket is of "), foreign.output);
  std::string damaged = ticket;
  damaged[20] = damaged[20] == 'A' ? 'B' : 'A';
  const Finished broken = join(damaged, peer, folder.path("second"), "");
  CHECK(broken.exit_code == 2);
  CHECK_MESSAGE(says(broken, "this ticket is damaged"), broken.output);
  CHECK_MESSAGE(!says(broken, damaged), broken.output);
  const Finished none = run_program({node_binary(), "--peer", peer, "--data-dir", folder.path("third"), "--listen", free_address()}, kLimit);
  CHECK(none.exit_code == 2);
  CHECK_MESSAGE(says(none, "joining takes a ticket: run `rse ticket create`"), none.output);
  for (const char* ttl : {"0s", "15", "m", "400d"}) {
    CAPTURE(ttl);
    CHECK(rse(cluster, 0, {"ticket", "create", "--ttl", ttl}).exit_code != 0);
  }
  CHECK(rse(cluster, 0, {"ticket", "create", "--uses", "33"}).exit_code == 1);
  CHECK(cluster.status()->view().admitted_size() == 2);
}

TEST_CASE("a ticket names where to go, lets as many join as it says, and its text and the keys are in no log") {
  LocalCluster cluster({.nodes = {{.name = "a"}, {.name = "b"}}});
  REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
  const TemporaryFolder folder;
  const std::string ticket = new_ticket(cluster, 1);
  const Finished joined = run_program({node_binary(), "--ticket", ticket, "--log", "trace", "--data-dir", folder.path("c"), "--listen", free_address()},
                                      kLimit, "this node is a member");
  CHECK_MESSAGE(says(joined, "this node is a member"), joined.output);
  const std::string secret = ticket.substr(5, 100);
  for (const std::string& log : {joined.output, text_of(cluster.log(0)), text_of(cluster.log(1))}) CHECK(log.find(secret) == std::string::npos);
  const Finished printed = run_program({node_binary(), "--ticket", ticket, "--print-config"});
  CHECK_MESSAGE(says(printed, "ticket = \"(secret)\""), printed.output);
  CHECK_MESSAGE(!says(printed, secret), printed.output);
  const auto mode = std::filesystem::status(folder.path("c/key")).permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("a forgotten node ends and says why, its data directory and its tickets are worth nothing, and the rest go on identical") {
  LocalCluster cluster({});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE(run_on(cluster, 20));
  const std::string ticket = new_ticket(cluster, 0);
  CHECK_MESSAGE(says(rse(cluster, 0, {"forget", "a"}), "a node does not forget itself"), log_tails(cluster));
  CHECK_MESSAGE(says(rse(cluster, 0, {"forget", "nobody"}), "no node \"nobody\" is admitted here"), log_tails(cluster));
  const Finished nameless = rse(cluster, 0, {"forget", ""});
  CHECK_MESSAGE(says(nameless, "no node \"\" is admitted here"), nameless.output);
  REQUIRE(cluster.wait_for(healthy_on_three, kStoryLimit));
  const Finished forgotten = rse(cluster, 0, {"forget", "c"});
  REQUIRE_MESSAGE(forgotten.exit_code == 0, (forgotten.output + log_tails(cluster)));
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (cluster.running(2) && std::chrono::steady_clock::now() < end) wait_a_little();
  CHECK_FALSE(cluster.running(2));
  CHECK(text_of(cluster.log(2)).find("its key has been revoked") != std::string::npos);
  REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
  const Finished twice = rse(cluster, 0, {"forget", "c"});
  CHECK(twice.exit_code == 1);
  CHECK_MESSAGE((says(twice, "admitted here") && says(twice, "b (")), twice.output);

  const std::string data = cluster.directory() + "/c";
  const Finished back = run_program({node_binary(), "--data-dir", data, "--listen", free_address()}, kLimit);
  CHECK(back.exit_code == 1);
  CHECK_MESSAGE(says(back, "its key has been revoked in cluster"), back.output);
  const TemporaryFolder folder;
  const Finished void_ticket = join(ticket, cluster.address(0), folder.path("d"), "make a new ticket");
  CHECK_MESSAGE(says(void_ticket, "a node may have been forgotten since"), void_ticket.output);
  const Finished anew = join(new_ticket(cluster, 1), cluster.address(0), folder.path("d"));
  CHECK_MESSAGE(says(anew, "this node is a member"), anew.output);
  REQUIRE_MESSAGE(run_on(cluster, 50), log_tails(cluster));
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

TEST_CASE("a copied data directory without its key, with another key, or with a key that others may read gets nowhere") {
  LocalCluster cluster({.nodes = {{.name = "a"}, {.name = "b"}}});
  REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
  CHECK(cluster.terminate(1) == 0);
  const TemporaryFolder folder;
  const std::string data = folder.path("copy"), key = data + "/key";
  std::filesystem::copy(cluster.directory() + "/b", data, std::filesystem::copy_options::recursive);
  std::filesystem::permissions(key, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  const auto start = [&](std::vector<std::string> more, const std::string& until) {
    std::vector<std::string> words{node_binary(), "--data-dir", data, "--listen", free_address()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, kLimit, until);
  };
  const Finished readable = start({}, "");
  CHECK(readable.exit_code == 1);
  CHECK_MESSAGE(says(readable, "may be read by others"), readable.output);
  std::filesystem::remove(key);
  const Finished without = start({}, "");
  CHECK(without.exit_code == 1);
  CHECK_MESSAGE(says(without, "it has no key"), without.output);
  const Finished open = start({"--insecure"}, "");
  CHECK(open.exit_code == 1);
  CHECK_MESSAGE(says(open, "its file key is missing"), open.output);
  CHECK_MESSAGE(says(run_program({node_binary(), "--found", "--data-dir", folder.path("other"), "--listen", free_address()}, kLimit,
                                 "this node is a member"),
                     "this node is a member"),
                log_tails(cluster));
  std::filesystem::copy(folder.path("other") + "/key", key);
  const Finished foreign = start({}, cluster.address(0) + " answers: refused");
  CHECK_MESSAGE(says(foreign, "another key than that node"), foreign.output);
  const Finished insecure = run_program({node_binary(), "--insecure", "--data-dir", folder.path("other"), "--listen", free_address()}, kLimit);
  CHECK(insecure.exit_code == 1);
  CHECK_MESSAGE(says(insecure, "it is of an encrypted cluster"), insecure.output);
}

TEST_CASE("doctor says of each way whether it works and why not, and spends nothing of a ticket") {
  const std::string port = std::to_string(free_port());
  LocalCluster cluster({.nodes = {{.name = "solo"}}, .flags = {"--listen", "udp:127.0.0.1:" + port}});
  REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
  const auto doctor = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {rse_binary(), "doctor"});
    return run_program(words, kLimit);
  };
  for (const std::string& way : {cluster.address(0), "udp:127.0.0.1:" + port}) {
    CAPTURE(way);
    const Finished answers = doctor({way});
    CHECK(answers.exit_code == 0);
    CHECK_MESSAGE(says(answers, "an encrypted node of cluster"), answers.output);
  }
  const Finished nobody = doctor({"127.0.0.1:" + std::to_string(free_port())});
  CHECK(nobody.exit_code == 1);
  CHECK_MESSAGE(says(nobody, "nothing listens there"), nobody.output);
  for (const std::string wrong : {"", "x:y:z:", "127.0.0.1:0", "127.0.0.1:99999", "http://127.0.0.1:7400", "quic:host"}) {
    CAPTURE(wrong);
    const Finished usage = doctor({wrong});
    CHECK(usage.exit_code == 2);
    CHECK_MESSAGE(says(usage, "is no HOST[:PORT]"), usage.output);
  }
  const Finished unknown = doctor({"nowhere.invalid"});
  CHECK(unknown.exit_code == 1);
  CHECK_MESSAGE(says(unknown, "the name nowhere.invalid does not resolve"), unknown.output);
  LocalCluster open({.nodes = {{.name = "open"}}, .flags = {"--insecure", "--listen", "udp:127.0.0.1:" + std::to_string(free_port())}});
  REQUIRE_MESSAGE(open.start() == "", log_tails(open));
  const auto status = open.status();
  REQUIRE(status);
  for (const std::string& way : status->self().addresses()) {
    CAPTURE(way);
    const Finished unencrypted = doctor({way});
    CHECK(unencrypted.exit_code == 0);
    CHECK_MESSAGE(says(unencrypted, "not encrypted (--insecure)"), unencrypted.output);
  }
  const std::string ticket = new_ticket(cluster, 0);
  const Finished good = doctor({"--ticket", ticket});
  CHECK(good.exit_code == 0);
  CHECK_MESSAGE(says(good, "answers and takes the ticket"), good.output);
  CHECK_MESSAGE(!says(good, ticket.substr(5, 60)), good.output);
  const Finished list = rse(cluster, 0, {"ticket", "list"});
  CHECK_MESSAGE(says(list, "1/1    good"), list.output);
  CHECK(doctor({"--control", cluster.control(0)}).exit_code == 10);  // alone: nobody to reach, nothing wrong, and unprotected
  CHECK(doctor({"--control", cluster.directory() + "/nobody.sock"}).exit_code == 3);
}

TEST_CASE("doctor answers no where a ticket is not taken, a member is down or cannot join, and names which and why") {
  LocalCluster cluster({.nodes = {{.name = "a"}, {.name = "b"}, {.name = "c"}}}), other({.nodes = {{.name = "other"}}});
  const std::string failure = start_busy(cluster);
  REQUIRE_MESSAGE(failure.empty(), failure);
  REQUIRE_MESSAGE(other.start() == "", log_tails(other));
  const auto doctor = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {rse_binary(), "doctor"});
    return run_program(words, kLimit);
  };
  const std::string ticket = new_ticket(cluster, 0);
  const Finished foreign = doctor({other.address(0), "--ticket", ticket});
  CHECK(foreign.exit_code == 1);
  CHECK_MESSAGE(says(foreign, "the ticket is of "), foreign.output);
  std::smatch id;
  const std::string list = rse(cluster, 0, {"ticket", "list"}).output;
  REQUIRE(std::regex_search(list, id, std::regex("([0-9a-f]{16})  1/1    good")));
  CHECK(rse(cluster, 0, {"ticket", "revoke", id[1].str()}).exit_code == 0);
  const Finished revoked = doctor({cluster.address(0), "--ticket", ticket});
  CHECK(revoked.exit_code == 1);
  CHECK_MESSAGE(says(revoked, "it has been revoked"), revoked.output);

  // Each change of trust is a view, and the first after it has its copies to make whole.
  REQUIRE(cluster.wait_for(healthy_on_three, kStoryLimit));
  const Finished whole = doctor({"--control", cluster.control(0)});
  CHECK_MESSAGE(whole.exit_code == 0, whole.output);
  CHECK(cluster.terminate(2) == 0);
  REQUIRE(cluster.wait_for([](const v1::StatusReply& status) { return status.view().members_size() == 2; }, kStoryLimit));
  const Finished missing = doctor({"--control", cluster.control(0)});
  CHECK_MESSAGE(says(missing, "c: GONE, last heard "), missing.output);
  CHECK_MESSAGE(says(missing, "rse forget c"), missing.output);
  CHECK_MESSAGE(missing.exit_code == 10, missing.output);

  const Finished wrong_port = doctor({"--control", other.address(0)});
  CHECK(wrong_port.exit_code == 1);
  CHECK_MESSAGE(says(wrong_port, "does not speak as the control address of an rse-node does"), wrong_port.output);
  const TemporaryFolder folder;
  const std::string lost = folder.path("lost"), control = folder.path("lost.sock"), nobody = free_address();
  Machine joiner;
  REQUIRE(joiner.start({.words = {node_binary(), "--name", "lost", "--data-dir", lost, "--control", control, "--no-beacon", "--listen",
                                  free_address(), "--peer", nobody, "--ticket", new_ticket(cluster, 0)},
                        .log = lost + ".log"})
              .empty());
  Finished status;
  for (const auto end = std::chrono::steady_clock::now() + kLimit; std::chrono::steady_clock::now() < end; wait_a_little()) {
    status = run_program({rse_binary(), "status", "--control", control}, kLimit);
    if (says(status, "nothing listens there")) break;
  }
  CHECK_MESSAGE(says(status, "cannot reach " + nobody + ": nothing listens there; start rse-node"), status.output);
  const Finished examined = doctor({"--control", control});
  CHECK_MESSAGE(examined.exit_code == 10, examined.output);
  CHECK_MESSAGE(says(examined, "cannot reach " + nobody), examined.output);
  CHECK_MESSAGE(says(examined, "no cluster yet"), examined.output);
}

TEST_CASE("open and encrypted clusters never mix: whoever knocks hears that it has to be the same on both sides") {
  const std::string memory = fmt::format("ivshmem:rse-test-{}", free_port());
  const std::string tcp = free_address(), udp = "udp:" + free_address();
  const TemporaryFolder folder;
  for (const bool encrypted_first : {true, false}) {
    CAPTURE(encrypted_first);
    std::vector<std::string> flags{"--listen", udp, "--listen", memory};
    if (!encrypted_first) flags.emplace_back("--insecure");
    LocalCluster cluster({.nodes = {{.name = "one"}}, .flags = flags});
    LocalCluster tickets({.nodes = {{.name = "for-tickets"}}});
    REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
    REQUIRE_MESSAGE(tickets.start() == "", log_tails(tickets));
    const std::string ticket = new_ticket(encrypted_first ? cluster : tickets, 0);
    for (const std::string& peer : {cluster.address(0), udp, memory}) {
      CAPTURE(peer);
      std::vector<std::string> words{"/usr/bin/env"};
      if (!encrypted_first) words.push_back("RSE_TICKET=" + ticket);
      words.insert(words.end(), {node_binary(), "--peer", peer, "--listen", free_address()});
      if (encrypted_first) words.emplace_back("--insecure");
      const Finished stranger = run_program(words, kLimit, "link_failure");
      CHECK_MESSAGE(says(stranger, "--insecure"), stranger.output);
      CHECK_MESSAGE(says(stranger, "cannot talk to"), stranger.output);
    }
    const auto status = cluster.status();
    REQUIRE(status);
    CHECK(status->view().members_size() == 1);
    if (!encrypted_first) continue;
    const Finished joined = join(ticket, memory, folder.path("joins"));  // where nothing is proved, tickets count all the same
    CHECK_MESSAGE(says(joined, "this node is a member"), joined.output);
    const Finished used = join(ticket, memory, folder.path("late"), "");
    CHECK(used.exit_code == 1);
    CHECK_MESSAGE(says(used, "it has been used"), used.output);
  }
  const Finished wide = run_program({node_binary(), "--insecure", "--found", "--listen", "0.0.0.0:0"}, kLimit);
  CHECK(wide.exit_code == 2);
  CHECK_MESSAGE(says(wide, "--insecure encrypts nothing"), wide.output);
}

}  // namespace
}  // namespace rse
