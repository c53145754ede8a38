// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/large_bench.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "coordinator/service/spooled_sum.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/secagg/client_session.h"
#include "protocols/secagg/server_session.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/identity.h"
#include "protocols/transport/server.h"
#include "tests/bench/bench_consortium.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_table.h"

namespace cloister::bench {
namespace {

constexpr int kSites = 3;
constexpr uint64_t kBlock = uint64_t{1} << 18;  // elements of 1 MiB
constexpr uint64_t kBlobBytes = (uint64_t{1} << 32) + 77;

// What `site` adds to element `index`.
uint32_t Addend(uint32_t site, uint64_t index) {
  uint32_t hash = site * 2654435761U ^ static_cast<uint32_t>(index) ^ static_cast<uint32_t>(index >> 32) * 40503U;
  hash ^= hash >> 13;
  return hash % 4001 - 2000;
}

// Says how long each step took.
class Steps {
 public:
  void Done(const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    fmt::print("  {:<56} {:>10}\n", what, Duration(std::chrono::duration<double>(now - last_).count()));
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

struct LargeSum {
  secagg::SumParams params;
  crypto::Certificate ca;
  std::vector<secagg::ClientSession> sites;
  std::optional<secagg::ServerSession> server;
};

absl::StatusOr<LargeSum> Begin(uint64_t parameters, const std::filesystem::path& folder) {
  const Identities identities(folder / "identities");
  LargeSum sum;
  sum.ca = identities.ca();
  CLOISTER_ASSIGN_OR_RETURN(sum.params.job, JobId::Parse("large"));
  sum.params.round = 1;
  sum.params.kind = "train";
  sum.params.n_min = kSites;
  sum.params.vectors = {{"update", parameters, 32}, {"counters", 1, 64}};
  std::vector<SiteId> expected;
  for (int i = 1; i <= kSites; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const auto certificates, identities.Make(SiteName(i), crypto::Role::kSite));
    CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer,
                              transport::LoadSigner(certificates, crypto::Role::kSite, absl::Now()));
    CLOISTER_ASSIGN_OR_RETURN(expected.emplace_back(), SiteId::Parse(SiteName(i)));
    CLOISTER_ASSIGN_OR_RETURN(secagg::ClientSession session,
                              secagg::ClientSession::Create({sum.params, std::move(signer), sum.ca, absl::Now(),
                                                             crypto::RandomSecret(32), /*facts=*/{},
                                                             /*models_checked=*/true}));
    sum.sites.push_back(std::move(session));
  }
  CLOISTER_ASSIGN_OR_RETURN(secagg::ServerSession server,
                            secagg::ServerSession::Create({sum.params, sum.ca, expected, absl::Now()}));
  sum.server.emplace(std::move(server));
  for (int i = 0; i < kSites; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep advert, sum.sites[i].Advertise());
    CLOISTER_RETURN_IF_ERROR(sum.server->Handle(expected[i], advert.reply.value()));
  }
  CLOISTER_RETURN_IF_ERROR(sum.server->Close());
  return sum;
}

// Every site hears what was published last; with `answer`, its reply goes back and the phase is closed.
absl::Status Round(LargeSum& sum, bool answer) {
  const std::vector<SiteId> asked = sum.server->Awaited();
  for (size_t i = 0; i < asked.size(); ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep step,
                              sum.sites[i].Handle(sum.server->MessagesFor(asked[i]).back()));
    if (answer) CLOISTER_RETURN_IF_ERROR(sum.server->Handle(asked[i], *step.reply));
  }
  return answer ? sum.server->Close() : absl::OkStatus();
}

// Masks the site's vectors block by block into files, as the spool has them, and commits to them.
absl::StatusOr<std::vector<std::filesystem::path>> MaskAndSpool(LargeSum& sum, size_t site,
                                                                const std::filesystem::path& folder) {
  secagg::ClientSession& session = sum.sites[site];
  const uint64_t length = sum.params.vectors[0].length;
  const std::filesystem::path path = folder / ("masked-" + std::to_string(site));
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, "cannot create", path);
  std::vector<uint32_t> block(kBlock);
  crypto::Sha256Stream hash;
  for (uint64_t first = 0; first < length; first += kBlock) {
    const absl::Span<uint32_t> part = absl::MakeSpan(block).subspan(0, std::min(kBlock, length - first));
    for (size_t i = 0; i < part.size(); ++i) part[i] = Addend(static_cast<uint32_t>(site), first + i);
    CLOISTER_RETURN_IF_ERROR(session.Mask(0, first, part));
    const ByteView bytes(reinterpret_cast<const char*>(part.data()), part.size() * sizeof(uint32_t));
    hash.Update(bytes);
    CLOISTER_RETURN_IF_ERROR(WriteAll(file.get(), bytes, path));
  }
  uint64_t counter = site + 1;
  CLOISTER_RETURN_IF_ERROR(session.Mask(1, 0, absl::MakeSpan(&counter, 1)));
  const ByteView bytes(reinterpret_cast<const char*>(&counter), sizeof(counter));
  const std::filesystem::path counters = folder / ("counters-" + std::to_string(site));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(counters, bytes));
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep commit,
                            session.Commit({{hash.Finish(), length}, {crypto::Sha256(bytes), 1}}));
  CLOISTER_RETURN_IF_ERROR(sum.server->Handle(sum.server->sharers()[site], *commit.reply));
  return std::vector<std::filesystem::path>{path, counters};
}

absl::Status CheckTotals(const plan::SumResult& totals) {
  const secagg::RingView update = totals.Values(0);
  std::vector<int64_t> part;
  for (uint64_t first = 0; first < update.size(); first += part.size()) {
    part.resize(std::min<uint64_t>(kBlock, update.size() - first));
    update.ReadSigned(first, absl::MakeSpan(part));
    for (uint64_t i = 0; i < part.size(); ++i) {
      uint32_t wanted = 0;
      for (uint32_t site = 0; site < kSites; ++site) wanted += Addend(site, first + i);
      if (static_cast<uint32_t>(part[i]) != wanted) {
        return absl::DataLossError(
            fmt::format("element {} is {}, not {}", first + i, static_cast<uint32_t>(part[i]), wanted));
      }
    }
  }
  return totals.Values64(1)[0] == 6 ? absl::OkStatus() : absl::DataLossError("the counter is wrong");
}

absl::Status SumTogether(uint64_t parameters, const std::filesystem::path& folder) {
  Steps steps;
  CLOISTER_ASSIGN_OR_RETURN(LargeSum sum, Begin(parameters, folder));
  CLOISTER_RETURN_IF_ERROR(Round(sum, /*answer=*/true));   // shares
  CLOISTER_RETURN_IF_ERROR(Round(sum, /*answer=*/false));  // deliveries
  coordinator::SpooledVectors spooled;
  for (size_t site = 0; site < kSites; ++site) {
    CLOISTER_ASSIGN_OR_RETURN(spooled.emplace_back(), MaskAndSpool(sum, site, folder));
  }
  steps.Done("three sites: made up, tagged, masked, hashed, spooled");
  CLOISTER_RETURN_IF_ERROR(sum.server->Close());
  CLOISTER_RETURN_IF_ERROR(Round(sum, /*answer=*/true));  // consistency
  CLOISTER_RETURN_IF_ERROR(Round(sum, /*answer=*/true));  // unmasking
  CLOISTER_ASSIGN_OR_RETURN(const secagg::Unmasker* unmasker, sum.server->unmasker());
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ServerSession::Published published, sum.server->published());
  const std::filesystem::path result = folder / "result";
  const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  CLOISTER_RETURN_IF_ERROR(coordinator::SumUp(
      spooled, *unmasker, {published.ctx2, published.survivors, published.tag, sum.params.vectors}, result, threads));
  steps.Done("coordinator: added up and unmasked into the result file");
  CLOISTER_ASSIGN_OR_RETURN(const plan::SumResult totals, plan::SumResult::Open(result));
  CLOISTER_RETURN_IF_ERROR(plan::CheckSumResult(totals, *sum.sites[0].check(), sum.params.vectors));
  steps.Done("a site: the tag fits the totals");
  CLOISTER_RETURN_IF_ERROR(CheckTotals(totals));
  steps.Done("every element is the plain integer sum");
  return absl::OkStatus();
}

// A sparse file of more than 4 GiB, up and down again.
absl::Status Transfer(const std::filesystem::path& folder) {
  Steps steps;
  const std::filesystem::path path = folder / "large";
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(path, "a blob with an end\n"));
  std::filesystem::resize_file(path, kBlobBytes);
  crypto::Sha256Stream hash;
  Bytes piece;
  CLOISTER_ASSIGN_OR_RETURN(const auto source, transport::OpenFileSource(path));
  for (uint64_t at = 0; at < kBlobBytes; at += kBlock) {
    CLOISTER_RETURN_IF_ERROR(source->Read(at, std::min(kBlock, kBlobBytes - at), &piece));
    hash.Update(piece);
  }
  const Digest digest = hash.Finish();
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore there, storage::BlobStore::Open(folder / "there"));
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore here, storage::BlobStore::Open(folder / "here"));
  transport::BlobPolicy policy;
  policy.may_put = [](const transport::Peer&, const wire::BlobHeader&) { return absl::OkStatus(); };
  policy.may_get = [](const transport::Peer&, const Digest&) { return absl::OkStatus(); };
  transport::BlobService service(
      &there,
      [](const grpc::ServerContextBase&) {
        return transport::Peer{"site-0001", crypto::Role::kSite, {}, {}};
      },
      policy);
  CLOISTER_ASSIGN_OR_RETURN(const auto server,
                            transport::Server::Start({"127.0.0.1:0", grpc::InsecureServerCredentials()}, {&service}));
  const transport::BlobClient client(transport::CoordinatorChannel::Insecure(
      grpc::CreateChannel(fmt::format("127.0.0.1:{}", server->port()), grpc::InsecureChannelCredentials())));
  CLOISTER_ASSIGN_OR_RETURN(const JobId job, JobId::Parse("large"));
  CLOISTER_RETURN_IF_ERROR(
      client.Upload({digest, kBlobBytes, wire::BlobPurpose::kMaskedVector, job}, source.get(), {}));
  steps.Done(fmt::format("a blob of {} bytes sent", kBlobBytes));
  CLOISTER_RETURN_IF_ERROR(client.Download(digest, kBlobBytes, &here, {}));
  steps.Done("and fetched again, its hash checked on both sides");
  return absl::OkStatus();
}

absl::Status RunIn(const LargeOptions& options, const std::filesystem::path& folder) {
  const uint64_t needed = std::max((kSites + 1) * 4 * options.parameters, 2 * kBlobBytes) + (uint64_t{1} << 30);
  const uint64_t free_bytes = std::filesystem::space(folder).available;
  if (free_bytes < needed) {
    return absl::ResourceExhaustedError(
        fmt::format("this needs {:.1f} GB of disk; {:.1f} GB are free at {}: set TMPDIR to another folder",
                    static_cast<double>(needed) / 1e9, static_cast<double>(free_bytes) / 1e9, folder.string()));
  }
  fmt::print("A secure sum of {} sites with {} parameters\n", kSites, options.parameters);
  CLOISTER_RETURN_IF_ERROR(SumTogether(options.parameters, folder));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) std::filesystem::remove_all(entry);
  CLOISTER_RETURN_IF_ERROR(Transfer(folder));
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("  peak memory, all parties and the mapped result together {:>8} MiB\n", usage.ru_maxrss >> 10);
  return absl::OkStatus();
}

}  // namespace

int RunLarge(const LargeOptions& options) {
  SetUpLogging("bench", "error");
  return RunInTemporaryFolder([&](const std::filesystem::path& folder) { return RunIn(options, folder); });
}

}  // namespace cloister::bench
