#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cloister-eval report beside scikit-learn, SciPy and statsmodels (python) or pROC, epiR and metafor (r).

Usage: compare.py python|r CLOISTER_EVAL RSCRIPT_FILE
Points agree to 1e-9, intervals to 1e-6. Exit code 77: the packages of deploy/packages.sh test are not installed.
"""
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile

POINT, INTERVAL = 1e-9, 1e-6
failures = []
compared = 0


def check(name, ours, theirs, tolerance):
    global compared
    compared += 1
    if not (isinstance(ours, (int, float)) and abs(ours - theirs) <= tolerance * max(1, abs(theirs))):
        failures.append(f"{name}: ours {ours!r}, reference {theirs!r}")


def check_interval(name, ours, value, lower, upper):
    check(name, ours.get("value"), value, POINT)
    check(name + " lower", ours.get("lower"), lower, INTERVAL)
    check(name + " upper", ours.get("upper"), upper, INTERVAL)


def rows(seed, patients, eyes):
    """Ties, six hospitals, a camera on which the model is worse; with eyes > 1, several cases of a patient."""
    draw = random.Random(seed)
    made = []
    for patient in range(patients):
        sick = draw.random() < 0.35
        shift = draw.gauss(0, 0.5)
        for eye in range(eyes if patient % 3 else 1):
            camera = "old" if patient % 4 == 0 else "new"
            signal = (1.5 if camera == "new" else 0.6) * (1 if sick else -1) + shift
            score = lambda noise: round(1 / (1 + math.exp(-(signal + draw.gauss(0, noise)))), 2)
            made.append({"case": f"c{patient}-{eye}", "patient": f"p{patient}", "label": int(sick),
                         "score": min(max(score(1.0), 0.01), 0.99), "other": min(max(score(1.6), 0.01), 0.99),
                         "camera": camera, "hospital": f"h{patient % 6}"})
    return made


def report(program, folder, made, *more):
    path = os.path.join(folder, "p.csv")
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, made[0].keys())
        writer.writeheader()
        writer.writerows(made)
    command = [program, "report", "--predictions", path, "--task", "binary", "--out", os.path.join(folder, "out"),
               "--json", "--quiet", "--replicates", "100", "--compare", "other", "--compare-threshold", "0.5",
               "--site", "hospital", *more]
    return path, json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def python_one_case_each(program, folder):
    import numpy as np
    from sklearn import metrics
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest
    made = rows(7, 900, 1)
    _, ours = report(program, folder, made)
    y = np.array([row["label"] for row in made])
    s = np.array([row["score"] for row in made])
    called = s >= 0.5
    m = ours["metrics"]
    check("auc", m["auc"]["value"], metrics.roc_auc_score(y, s), POINT)
    check("average precision", m["average_precision"]["value"], metrics.average_precision_score(y, s), POINT)
    check("brier", m["brier"]["value"], metrics.brier_score_loss(y, s), POINT)
    check("log-loss", m["log_loss"]["value"], metrics.log_loss(y, s), POINT)
    for name, right, of in (("sensitivity", called, y == 1), ("specificity", ~called, y == 0),
                            ("ppv", y == 1, called), ("npv", y == 0, ~called)):
        k, n = int((right & of).sum()), int(of.sum())
        check_interval(name, m[name], k / n, *proportion_confint(k, n, method="wilson"))
    p_values, ours_p = [], []
    for group in ours["subgroups"]:
        inside = np.array([row[group["column"]] == group["level"] for row in made])
        for name, label in (("sensitivity", 1), ("specificity", 0)):
            one = group["metrics"][name]
            right = called == (label == 1)
            of = y == label
            counts = [int((right & of & inside).sum()), int((right & of & ~inside).sum())]
            sizes = [int((of & inside).sum()), int((of & ~inside).sum())]
            lower, upper = confint_proportions_2indep(counts[0], sizes[0], counts[1], sizes[1], method="newcomb",
                                                      compare="diff")
            check_interval(f"{group['level']} {name}", one["difference"], counts[0] / sizes[0] - counts[1] / sizes[1],
                           lower, upper)
            check(f"{group['level']} {name} p", one["p_value"], proportions_ztest(counts, sizes)[1], POINT)
        for one in group["metrics"].values():
            p_values.append(one["p_value"])
            ours_p.append(one["holm_p"])
    for i, theirs in enumerate(multipletests(p_values, method="holm")[1]):
        check(f"holm {i}", ours_p[i], theirs, POINT)


def python_clustered(program, folder):
    import numpy as np
    import statsmodels.api as sm
    from sklearn import metrics
    made = rows(11, 500, 2)
    _, ours = report(program, folder, made)
    y = np.array([row["label"] for row in made], float)
    s = np.array([row["score"] for row in made])
    check("clustered auc", ours["metrics"]["auc"]["value"], metrics.roc_auc_score(y, s), POINT)
    x = np.log(s / (1 - s))
    groups = np.unique([row["patient"] for row in made], return_inverse=True)[1]
    binomial = sm.families.Binomial()
    fit = dict(tol=1e-14, tol_criterion="params", maxiter=200, cov_type="cluster", cov_kwds={"groups": groups})
    slope = sm.GLM(y, sm.add_constant(x), family=binomial).fit(**fit)
    check_interval("calibration slope", ours["calibration_line"]["slope"], slope.params[1], *slope.conf_int()[1])
    offset = sm.GLM(y, np.ones_like(y), family=binomial, offset=x).fit(**fit)
    check_interval("calibration intercept", ours["calibration_line"]["intercept"], offset.params[0],
                   *offset.conf_int()[0])


def r(program, folder, script):
    path, ours = report(program, folder, rows(7, 900, 1))
    lines = subprocess.run(["Rscript", script, path], check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in lines}
    check_interval("pROC auc", ours["metrics"]["auc"], *theirs["auc"])
    difference = ours["versus_local_only"]["auc"]["difference"]
    check_interval("pROC roc.test", difference, *theirs["auc_difference"])
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        check_interval("epiR " + name, ours["metrics"][name], *theirs[name])
    check("epiR mcnemar", ours["versus_local_only"]["sensitivity"]["mcnemar_p"], theirs["mcnemar"][0], POINT)
    for name in ("auc", "sensitivity", "specificity"):
        pooled = ours["over_sites"][name]["pooled"]
        value, *ends = [min(max(x, 0), 1) for x in theirs["pooled_" + name][:5]]  # ours are clipped
        check_interval("metafor " + name, pooled, value, *ends[:2])
        check("metafor prediction", pooled["prediction_lower"], ends[2], INTERVAL)
        check("metafor prediction", pooled["prediction_upper"], ends[3], INTERVAL)
        check("metafor tau2", pooled["tau_squared"], theirs["pooled_" + name][5], POINT)
        check("metafor i2", pooled["i_squared"], theirs["pooled_" + name][6], 1e-7)
        check("metafor q", pooled["q_p_value"], theirs["pooled_" + name][7], POINT)


def installed(kind):
    try:
        if kind == "python":
            import scipy, sklearn, statsmodels  # noqa: F401
            return True
        wanted = "all(sapply(c('pROC','epiR','metafor'),requireNamespace,quietly=TRUE))"
        done = subprocess.run(["Rscript", "-e", f"cat({wanted})"], capture_output=True, text=True)
        return "TRUE" in done.stdout
    except (ImportError, FileNotFoundError):
        return False


def main():
    kind, program, script = sys.argv[1:4]
    if not installed(kind):
        print(f"the {kind} packages of deploy/packages.sh test are not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "r":
            r(program, folder, script)
        else:
            python_one_case_each(program, folder)
            python_clustered(program, folder)
    print(f"{compared} numbers compared, {len(failures)} differ")
    print("\n".join(failures))
    sys.exit(1 if failures or compared < 10 else 0)


if __name__ == "__main__":
    main()
