# SPDX-License-Identifier: Apache-2.0
# What pROC, epiR and metafor say about a file of predictions: "name value lower upper ..." lines for compare.py.
suppressPackageStartupMessages({
  library(pROC)
  library(epiR)
  library(metafor)
})
d <- read.csv(commandArgs(TRUE)[1])
say <- function(name, ...) cat(name, sprintf("%.17g", unlist(list(...))), "\n")

ours <- roc(d$label, d$score, direction = "<", quiet = TRUE)
other <- roc(d$label, d$other, direction = "<", quiet = TRUE)
interval <- ci.auc(ours, method = "delong")
say("auc", as.numeric(auc(ours)), interval[1], interval[3])
se <- sqrt(var(ours) + var(other) - 2 * cov(ours, other))
difference <- as.numeric(auc(ours)) - as.numeric(auc(other))
say("auc_difference", difference, difference + qnorm(c(.025, .975)) * se)

called <- d$score >= 0.5
k <- c(sum(called & d$label == 1), sum(called & d$label == 0), sum(!called & d$label == 1), sum(!called & d$label == 0))
shares <- list(sensitivity = c(k[1], k[1] + k[3]), specificity = c(k[4], k[4] + k[2]), ppv = c(k[1], k[1] + k[2]),
               npv = c(k[4], k[4] + k[3]))
for (name in names(shares)) {
  one <- epi.conf(matrix(shares[[name]], nrow = 1), ctype = "prevalence", method = "wilson", N = 1e12, design = 1,
                  conf.level = 0.95)
  say(name, one$est, one$lower, one$upper)
}
sick <- d$label == 1
first <- sum(sick & called & d$other < 0.5)
second <- sum(sick & !called & d$other >= 0.5)
say("mcnemar", binom.test(first, first + second)$p.value)

pool <- function(name, value, variance, back) {
  fit <- rma(value, variance, method = "REML", test = "knha",
             control = list(threshold = 1e-15, maxiter = 10000, stepadj = 0.5))
  p <- predict(fit)
  say(paste0("pooled_", name), back(p$pred), back(p$ci.lb), back(p$ci.ub), back(p$pi.lb), back(p$pi.ub), fit$tau2,
      fit$I2 / 100, fit$QEp)
}
sites <- split(d, d$hospital)
rocs <- lapply(sites, function(s) roc(s$label, s$score, direction = "<", quiet = TRUE))
pool("auc", sapply(rocs, function(x) as.numeric(auc(x))), sapply(rocs, var), identity)
for (name in c("sensitivity", "specificity")) {
  label <- if (name == "sensitivity") 1 else 0
  right <- sapply(sites, function(s) sum(s$label == label & (s$score >= 0.5) == (label == 1)))
  all <- sapply(sites, function(s) sum(s$label == label))
  logits <- escalc(measure = "PLO", xi = right, ni = all)
  pool(name, logits$yi, logits$vi, plogis)
}
