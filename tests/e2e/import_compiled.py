"""One checkpoint of each form, compiled and verified: import_compiled.py HELRM. Run behind import_cases.py, whose
schema and rows it takes."""
import json, re, subprocess, sys
import torch
from torch import nn
from import_models import DLRM, DeepCTR, Polynomial, PytorchFM, TorchRecDLRM, settle

helrm = sys.argv[1]
tables = json.load(open("schema.json"))["tables"]
sizes, names = [len(t["values"]) for t in tables], [t["name"] for t in tables]
open("some.txt", "w").writelines(open("rows.txt").readlines()[:5])


class Quadratic(nn.Module):
    def forward(self, x):
        return 0.1 * x * x + 0.5 * x


def call(*args):
    p = subprocess.run([helrm, *args], capture_output=True, text=True)
    assert p.returncode == 0, " ".join(args) + ": " + p.stderr
    return p.stdout


def check(what, model, **config):
    if "polynomials" not in config:
        config["activation"] = {"kind": "quadratic", "a": 0.1, "b": 0.5}
    if hasattr(model, "bot_l"):
        config["bottom_last_activation"] = True
    json.dump(config, open("config.json", "w"))
    torch.save(settle(model).state_dict(), "w.pt")
    out = "compiled-" + what
    call("import", "--weights", "w.pt", "--schema", "schema.json", "--config", "config.json", "--out", "model")
    call("compile", "--model", "model", "--data", "rows.txt", "--bits", "12", "--out", out)
    said = call("verify", "--model", "model", "--compiled", out, "--data", "some.txt")
    line = [l for l in said.splitlines() if l.startswith("against the program's model")][0]
    print("%-10s %s" % (what, line))
    assert float(re.search(r"([\d.]+) bits", line)[1]) >= 11.7 and ", 0 decisions differ" in line, line  # 12, within .3


torch.manual_seed(5)
check("dlrm", DLRM(sizes, 3, [13, 3], [6, 1], "dot", act=Quadratic))
check("dcn", TorchRecDLRM(sizes, names, 2, [13], [5, 1], 1, 2, act=Quadratic))
check("deepctr", DeepCTR(sizes, names, 4, 13, [9], act=Quadratic, norm=True), architecture="deepfm")
m = DLRM(sizes, 3, [13, 3], [6, 1], "cat", act=lambda: Polynomial(4))
check("polynomial", m, polynomials=[{"tensor": n} for n in m.state_dict() if n.endswith("coefficients")])
check("pytorch-fm", PytorchFM(sizes, 4, []))
