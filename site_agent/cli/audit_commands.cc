// SPDX-License-Identifier: Apache-2.0
// audit verify, audit show.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr size_t kPage = 1000;

struct AuditOptions {
  std::string head;
  size_t last = 20;
  bool json = false;
};

std::string HeadText(const audit::Head& head) {
  return fmt::format("{}:{}", head.sequence, head.hash.hex());
}

// "SEQUENCE:HASH", or the hash alone, which is then looked for. NOT_FOUND: no record has it.
absl::StatusOr<audit::Head> RememberedHead(const storage::AuditLog& log, const std::string& text) {
  const size_t colon = text.find(':');
  audit::Head head;
  const absl::StatusOr<Digest> hash = Digest::FromHex(text.substr(colon == std::string::npos ? 0 : colon + 1));
  if (!hash.ok()) {
    return absl::InvalidArgumentError("--head is what audit verify printed: a number, a colon and 64 hex digits");
  }
  head.hash = *hash;
  if (colon != std::string::npos) {
    const std::string number = text.substr(0, colon);
    if (number.empty() || number.size() > 18 || number.find_first_not_of("0123456789") != std::string::npos) {
      return absl::InvalidArgumentError("--head: '" + number + "' is not the number of a record");
    }
    head.sequence = std::stoull(number);
    return head;
  }
  for (uint64_t first = 1;; first += kPage) {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<audit::Record> records, log.Read(first, kPage));
    for (const audit::Record& record : records) {
      if (record.hash == head.hash) {
        head.sequence = record.sequence;
        return head;
      }
    }
    if (records.size() < kPage) {
      return absl::NotFoundError("no record has the remembered hash: the log was cut off before it, or rewritten");
    }
  }
}

absl::StatusOr<int> Verify(Session& session, const AuditOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  std::optional<audit::Head> remembered;
  if (!options.head.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(remembered, RememberedHead(store->audit(), options.head));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<audit::Break> broken, store->audit().Verify(remembered));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Head head, store->audit().Head());
  if (options.json) {
    Json result = {{"whole", !broken.has_value()}, {"records", head.sequence}, {"head", HeadText(head)}};
    if (broken) {
      result["break"] = {
          {"kind", audit::BreakName(broken->kind)}, {"sequence", broken->sequence}, {"message", broken->message}};
    }
    session.out() << JsonLines(result);
  } else if (broken) {
    session.out() << fmt::format("BROKEN at record {} ({}): {}\n", broken->sequence, audit::BreakName(broken->kind),
                                 Printable(broken->message));
  } else {
    session.out() << fmt::format("whole: {} records{}\nhead {}\n", head.sequence,
                                 remembered ? ", and the remembered head is among them" : "", HeadText(head));
    if (!remembered) {
      session.err()
          << "Keep the head elsewhere: audit verify --head HEAD then shows that nothing was cut or rewritten.\n";
    }
  }
  return broken ? kFailed : kDone;
}

Json ToJson(const audit::Record& record) {
  const audit::Event& event = record.event;
  return {{"sequence", record.sequence},
          {"time", FormatUtc(event.time)},
          {"actor", event.actor},
          {"action", event.action},
          {"subject", event.subject},
          {"type", event.type},
          {"size_bytes", event.size_bytes},
          {"digest", event.digest.is_zero() ? "" : event.digest.hex()},
          {"detail", event.detail.empty() ? Json::object() : Json::parse(event.detail, nullptr, false)},
          {"hash", record.hash.hex()}};
}

absl::StatusOr<int> Show(Session& session, const AuditOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<audit::Record> records, store->audit().ReadLast(options.last));
  if (options.json) {
    Json list = Json::array();
    for (const audit::Record& record : records) {
      list.push_back(ToJson(record));
    }
    session.out() << JsonLines(list);
    return kDone;
  }
  if (records.empty()) {
    session.out() << "The audit log is empty.\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> table = {
      {"#", "TIME", "WHO", "ACTION", "SUBJECT", "TYPE", "BYTES", "SHA-256", "DETAIL"}};
  for (const audit::Record& record : records) {
    const audit::Event& event = record.event;
    table.push_back({std::to_string(record.sequence), FormatUtc(event.time), Printable(event.actor),
                     Printable(event.action), Printable(event.subject), Printable(event.type),
                     event.size_bytes == 0 ? "" : std::to_string(event.size_bytes),
                     event.digest.is_zero() ? "" : event.digest.short_hex(), Printable(event.detail)});
  }
  session.out() << Columns(table);
  return kDone;
}

}  // namespace

void AddAuditCommands(CommandSet& commands) {
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* audit = commands.Add("audit", "What was decided here and what left the building, as a hash-chained log",
                                 {"cloister-site audit show --last 50", "cloister-site audit verify"}, nullptr);
  CLI::App* verify = commands.Add(
      "verify", "Walk the whole chain; exit status 1 where it is broken",
      {"cloister-site audit verify", "cloister-site audit verify --head 412:9c41d0...   with a head kept elsewhere"},
      [options](Session& session) { return Verify(session, *options); }, audit);
  verify->add_option("--head", options->head, "A head that an earlier verify printed, or its hash")->type_name("HEAD");
  verify->add_flag("--json", options->json, "For scripts: one object");
  CLI::App* show = commands.Add(
      "show", "The newest records, oldest first",
      {"cloister-site audit show --last 100",
       "cloister-site audit show --json | jq '.[] | select(.action == \"egress\")'"},
      [options](Session& session) { return Show(session, *options); }, audit);
  show->add_option("--last", options->last, "How many")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  show->add_flag("--json", options->json, "For scripts: a list of objects");
}

}  // namespace cloister::site
