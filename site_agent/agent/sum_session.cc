// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/sum_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/secagg/ring.h"

namespace cloister::site {
namespace {

constexpr size_t kFrameBytes = size_t{1} << 20;

}  // namespace

// Writes packed elements and hashes them on the way. Not synced: a site that a power cut takes its masked vectors is a
// dropout, and no other vector can take their place.
class SpoolFile {
 public:
  static absl::StatusOr<SpoolFile> Create(const std::filesystem::path& path) {
    Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) {
      return ErrnoStatus(errno, "cannot create", path);
    }
    return SpoolFile(std::move(file), path);
  }

  absl::Status Write(ByteView bytes) {
    sha_.Update(bytes);
    return WriteAll(file_.get(), bytes, path_);
  }

  void Finish(SumVectorRow& row) {
    row.digest = sha_.Finish();
    row.path = path_.string();
  }

 private:
  SpoolFile(Descriptor file, std::filesystem::path path) : file_(std::move(file)), path_(std::move(path)) {}

  Descriptor file_;
  std::filesystem::path path_;
  crypto::Sha256Stream sha_;
};

VectorContent CountersContent(std::vector<uint64_t> counters) {
  const uint64_t length = counters.size();
  const auto read = [counters = std::move(counters)](uint64_t first, absl::Span<uint64_t> values) {
    std::copy_n(counters.begin() + static_cast<std::ptrdiff_t>(first), values.size(), values.begin());
    return absl::OkStatus();
  };
  return {length, nullptr, read};
}

absl::StatusOr<std::unique_ptr<SumSession>> SumSession::Open(SumTable* table, SumKey key, secagg::ClientInputs inputs,
                                                             const Digest& model, std::filesystem::path spool) {
  CLOISTER_ASSIGN_OR_RETURN(inputs.facts, table->Facts(secagg::FactScope(inputs.params)));
  CLOISTER_ASSIGN_OR_RETURN(secagg::ClientSession session, secagg::ClientSession::Create(std::move(inputs)));
  std::unique_ptr<SumSession> result(new SumSession(table, key, std::move(session), model, std::move(spool)));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<SumMessageRow> messages, table->Messages(key));
  for (const SumMessageRow& row : messages) {
    const auto phase = static_cast<wire::SumPhase>(row.phase);
    CLOISTER_RETURN_IF_ERROR(result->Apply(phase, row.message).status());
    if (phase == wire::SumPhase::kMask && !row.reply.empty()) {  // the masked vectors are on the disk
      CLOISTER_RETURN_IF_ERROR(result->session_.Recommit(row.reply).status());
      result->committed_ = true;
    }
  }
  return result;
}

absl::Status SumSession::Store(wire::SumPhase phase, const secagg::ClientStep& step,
                               const std::vector<SumVectorRow>& vectors) {
  SumStepRows rows;
  for (const secagg::Fact& fact : step.facts) {
    rows.facts[fact.key] = fact.value;
  }
  rows.reply = step.reply;
  rows.vectors = vectors;
  if (const secagg::SumCheck* check = session_.check()) {
    rows.check = SumCheckRow{model_, check->ctx2, check->survivors, check->seed.Clone()};
  }
  return table_->PutStep(key_, static_cast<int>(phase), rows);
}

absl::StatusOr<std::optional<Bytes>> SumSession::Apply(wire::SumPhase phase, const Bytes& message) {
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep step,
                            phase == wire::SumPhase::kAdvertise ? session_.Advertise() : session_.Handle(message));
  CLOISTER_RETURN_IF_ERROR(Store(phase, step, {}));
  return step.reply;
}

absl::StatusOr<std::optional<Bytes>> SumSession::Handle(wire::SumPhase phase, const Bytes& message) {
  CLOISTER_RETURN_IF_ERROR(table_->PutMessage(key_, static_cast<int>(phase), message));
  return Apply(phase, message);
}

absl::Status SumSession::CommitTo(const std::vector<SumVectorRow>& vectors) {
  std::vector<secagg::VectorCommit> commits;
  for (const SumVectorRow& row : vectors) {
    commits.push_back({row.digest, row.length});
  }
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep step, session_.Commit(commits));
  CLOISTER_RETURN_IF_ERROR(Store(wire::SumPhase::kMask, step, vectors));
  committed_ = true;
  return absl::OkStatus();
}

template <typename T>
absl::Status SumSession::MaskInto(SpoolFile& file, size_t index,
                                  const std::function<absl::Status(uint64_t, absl::Span<T>)>& content,
                                  const transport::StopSource& stop) {
  const secagg::VectorSpec& spec = session_.params().vectors[index];
  if (content == nullptr) {
    return absl::InternalError(fmt::format("nothing of {} bits to add to vector {}", spec.ring_bits, spec.name));
  }
  const uint64_t width = secagg::ElementBytes(spec.ring_bits);
  std::vector<T> frame;
  Bytes packed;
  for (uint64_t first = 0; first < spec.length; first += frame.size()) {
    if (stop.stopped()) {
      return absl::CancelledError("stopped while masking");
    }
    frame.resize(std::min<uint64_t>(kFrameBytes / width, spec.length - first));
    CLOISTER_RETURN_IF_ERROR(content(first, absl::MakeSpan(frame)));
    CLOISTER_RETURN_IF_ERROR(session_.Mask(index, first, absl::MakeSpan(frame)));
    if (width == sizeof(T)) {
      CLOISTER_RETURN_IF_ERROR(file.Write({reinterpret_cast<const char*>(frame.data()), frame.size() * width}));
      continue;
    }
    packed.resize(frame.size() * width);
    secagg::Pack(absl::MakeConstSpan(frame), spec.ring_bits, packed.data());
    CLOISTER_RETURN_IF_ERROR(file.Write(packed));
  }
  return absl::OkStatus();
}

std::string SumSession::SpoolPrefix() const {
  return fmt::format("{}-{}-{}-{}-", key_.job.value(), key_.kind, key_.round, key_.attempt);
}

// The sums before this one are over for this site; what it masked for them need not fill the disk.
void SumSession::DropEarlierVectors() const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(spool_, ignored)) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() == ".masked" && path.filename().string().rfind(SpoolPrefix(), 0) != 0) {
      std::filesystem::remove(path, ignored);
    }
  }
}

absl::StatusOr<SumVectorRow> SumSession::Spool(size_t index, const VectorContent& content,
                                               const transport::StopSource& stop) {
  const secagg::VectorSpec& spec = session_.params().vectors[index];
  SumVectorRow row;
  row.name = spec.name;
  row.length = spec.length;
  CLOISTER_ASSIGN_OR_RETURN(SpoolFile file,
                            SpoolFile::Create(spool_ / fmt::format("{}{}.masked", SpoolPrefix(), spec.name)));
  if (content.length != spec.length) {
    return absl::InternalError(
        fmt::format("vector {} has {} elements, not {}", spec.name, content.length, spec.length));
  }
  CLOISTER_RETURN_IF_ERROR(secagg::HeldBits(spec.ring_bits) == 64 ? MaskInto(file, index, content.wide, stop)
                                                                  : MaskInto(file, index, content.narrow, stop));
  file.Finish(row);
  return row;
}

absl::StatusOr<std::vector<SumVectorRow>> SumSession::WriteVectors(
    const std::function<absl::StatusOr<std::vector<VectorContent>>()>& contents, const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<SumVectorRow> vectors, table_->Vectors(key_));
  if (vectors.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<VectorContent> list, contents());
    if (list.size() != session_.params().vectors.size()) {
      return absl::InternalError("the plan and this site disagree about the number of vectors");
    }
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(spool_));
    DropEarlierVectors();
    for (size_t i = 0; i < list.size(); ++i) {
      CLOISTER_ASSIGN_OR_RETURN(SumVectorRow row, Spool(i, list[i], stop));
      vectors.push_back(std::move(row));
    }
  }
  if (!committed_) {
    CLOISTER_RETURN_IF_ERROR(CommitTo(vectors));
  }
  return vectors;
}

absl::StatusOr<std::optional<Bytes>> StoredReply(const SumTable& table, const SumKey& key, wire::SumPhase phase,
                                                 const Bytes& message) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<SumMessageRow> rows, table.Messages(key));
  for (const SumMessageRow& row : rows) {
    if (row.phase == static_cast<int>(phase) && row.message == message && !row.reply.empty()) {
      return row.reply;
    }
  }
  return std::nullopt;
}

}  // namespace cloister::site
