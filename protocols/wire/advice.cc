// SPDX-License-Identifier: Apache-2.0
// What a reason means and what to do about it, in the two languages of the pages.
#include "protocols/wire/names.h"

namespace cloister::wire {
namespace {

std::string_view Pick(Language language, std::string_view english, std::string_view chinese) {
  return language == Language::kChinese ? chinese : english;
}

}  // namespace

bool MayChange(RefusalReason reason) {
  return reason == RefusalReason::kNotApproved || reason == RefusalReason::kOutsideHours ||
         reason == RefusalReason::kNoCohort || reason == RefusalReason::kCohortTooSmall ||
         reason == RefusalReason::kDifferentialPrivacy;
}

std::string_view Advice(RefusalReason reason, Language language) {
  switch (reason) {
    case RefusalReason::kNotApproved:
      return Pick(language, "Nobody at the site has approved this experiment yet; there, run cloister-site approve.",
                  "本院尚无人批准该实验；请在院内运行 cloister-site approve。");
    case RefusalReason::kTaskNotAllowed:
      return Pick(language, "The site's policy does not allow this task; the site may add it to allowed_tasks.",
                  "本院策略不允许该任务；如需参加，请在策略的 allowed_tasks 中加入。");
    case RefusalReason::kCohortTooSmall:
      return Pick(language,
                  "The site's cohort has fewer patients than its policy asks for; add labelled studies there.",
                  "本院队列的患者数少于策略要求；请补充有标注的检查。");
    case RefusalReason::kSecureAggregationRequired:
      return Pick(language,
                  "The site takes part only with secure aggregation; set privacy.secure_aggregation: required.",
                  "本院只参加安全聚合的实验；请将 privacy.secure_aggregation 设为 required。");
    case RefusalReason::kMinimumSitesTooLow:
      return Pick(language, "The site asks for sums over more sites than the plan does; raise sites.minimum.",
                  "本院要求更多医院参与求和；请提高 sites.minimum。");
    case RefusalReason::kOutsideHours:
      return Pick(language, "The site works on experiments at other hours; it answers again when they begin.",
                  "现在不在本院允许的时间段内；到时会再次答复。");
    case RefusalReason::kSignatureInvalid:
      return Pick(language,
                  "The plan is not signed by an operator of this consortium; submit it with a valid certificate.",
                  "计划没有本联盟操作员的有效签名；请用有效证书重新提交。");
    case RefusalReason::kPlanInvalid:
      return Pick(language, "The site cannot read the plan; check that both sides run compatible versions.",
                  "本院无法读取该计划；请检查双方软件版本是否兼容。");
    case RefusalReason::kUnsupportedModel:
      return Pick(language, "The site's version does not have this model architecture; update the agent there.",
                  "本院的软件版本没有该模型结构；请更新站点代理。");
    case RefusalReason::kNoCohort:
      return Pick(language, "The site has no cohort for this task; there, run cloister-site cohort build.",
                  "本院没有该任务的队列；请在院内运行 cloister-site cohort build。");
    case RefusalReason::kDeclined:
      return Pick(language, "A person at the site has declined; talk to the site.", "本院人员已拒绝；请与本院联系。");
    case RefusalReason::kDifferentialPrivacy:
      return Pick(language,
                  "The plan costs the site's patients more privacy than plan or policy allow, or has no differential "
                  "privacy; more noise, fewer rounds or a smaller batch_size cost less. The numbers are at the site.",
                  "该计划消耗的隐私预算超出计划或本院策略的上限，或未使用差分隐私；"
                  "增大噪声、减少轮数或减小 batch_size 可降低消耗。具体数值见院内。");
  }
  return "";
}

std::string_view Advice(FailureReason reason, Language language) {
  switch (reason) {
    case FailureReason::kWorkerCrashed:
      return Pick(language, "The worker process crashed; see the job's log at the site.",
                  "工作进程崩溃；请查看院内该任务的日志。");
    case FailureReason::kWorkerTimedOut:
      return Pick(language, "The worker took longer than the site allows; raise its time limit or lower local_epochs.",
                  "工作进程超时；请提高院内时限或减少 local_epochs。");
    case FailureReason::kOutOfMemory:
      return Pick(language, "The worker ran out of memory; lower batch_size or raise the site's memory limit.",
                  "内存不足；请减小 batch_size 或提高院内内存上限。");
    case FailureReason::kDiskFull:
      return Pick(language, "The site's disk is full; free space there, the step is tried again.",
                  "院内磁盘已满；请清理空间，该步骤会重试。");
    case FailureReason::kNotFinite:
      return Pick(language, "Training gave a value that is not finite; lower the learning rate or set clip_norm.",
                  "训练出现非有限数值；请降低学习率或设置 clip_norm。");
    case FailureReason::kModelInvalid:
      return Pick(language, "A model file does not have the hash or the layout of the plan; the site did not use it.",
                  "模型文件的哈希或结构与计划不符；本院未使用。");
    case FailureReason::kProtocolViolation:
      return Pick(language, "A check of the secure sum failed, so the site has left this attempt; see its audit log.",
                  "安全求和的检查未通过，本院已退出本次尝试；请查看审计日志。");
    case FailureReason::kPacsUnavailable:
      return Pick(language, "The site's PACS does not answer; check the connection and the AE titles there.",
                  "院内 PACS 无应答；请检查连接和 AE Title。");
    case FailureReason::kInternal:
      return Pick(language, "An error inside the agent; see its log at the site.",
                  "站点代理内部错误；请查看院内日志。");
    case FailureReason::kTagMismatch:
      return Pick(
          language,
          "The totals of the round before do not have the sites' tags: a site or the coordinator lied. The round "
          "is taken back; docs/poisoning.md says how to find out who.",
          "上一轮总和与各院标签不符：某家医院或协调方作假。该轮已撤回；如何查明见 docs/poisoning.md。");
    case FailureReason::kBadShare:
      return Pick(language, "Another site dealt it a share that does not open; the coordinator's log names that site.",
                  "另一家医院发来的份额无法打开；协调方日志中有其名称。");
  }
  return "";
}

std::string_view Advice(ReleaseState state, Language language) {
  switch (state) {
    case ReleaseState::kOffered:
      return Pick(language, "Offered; the site has not answered yet.", "已发布，本院尚未答复。");
    case ReleaseState::kVerified:
      return Pick(language, "Verified and re-validated at the site; waits for a clinician's sign-off.",
                  "已在院内核验并重新验证，等待临床医生签字。");
    case ReleaseState::kGateFailed:
      return Pick(language, "Did not pass the site's own validation; it is not used there.",
                  "未通过本院自身验证，不予使用。");
    case ReleaseState::kActive:
      return Pick(language, "Signed by a clinician of the site and in use.", "已由本院临床医生签字并启用。");
    case ReleaseState::kDeclined:
      return Pick(language, "A clinician of the site has declined it.", "本院临床医生已拒绝。");
    case ReleaseState::kRolledBack:
      return Pick(language, "Rolled back; the site uses the version before it, or none.",
                  "已回退；本院使用上一版本或不使用。");
    case ReleaseState::kInvalid:
      return Pick(language,
                  "Signature, certificate or hash does not hold; the site has not used it. Tell the coordinator.",
                  "签名、证书或哈希无效，本院未使用；请通知协调方。");
  }
  return "";
}

std::string_view Title(ExperimentPhase phase, Language language) {
  switch (phase) {
    case ExperimentPhase::kInviting:
      return Pick(language, "Waiting for sites", "等待医院加入");
    case ExperimentPhase::kBaselines:
      return Pick(language, "Local baselines", "本地基线训练");
    case ExperimentPhase::kTraining:
      return Pick(language, "Training", "联合训练");
    case ExperimentPhase::kValidating:
      return Pick(language, "Validating", "交叉验证");
    case ExperimentPhase::kCalibrating:
      return Pick(language, "Calibrating", "校准");
    case ExperimentPhase::kReleased:
      return Pick(language, "Released", "已发布");
    case ExperimentPhase::kFailed:
      return Pick(language, "Failed", "失败");
    case ExperimentPhase::kAborted:
      return Pick(language, "Aborted", "已中止");
  }
  return "";
}

}  // namespace cloister::wire
