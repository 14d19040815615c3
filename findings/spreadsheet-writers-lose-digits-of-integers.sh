#!/usr/bin/env bash
# pyexcelerate 0.13.0, XlsxWriter 3.3.1, openpyxl 3.1.5, python-calamine 0.9.1, Python 3.11 or newer.
#
# Guess:    a Python integer of 16 or 17 digits, an order number say, is in the workbook as it was given, and every reader
#           gives it back.
# Seen:     two different integers can become one. pyexcelerate writes 2026030500000011 and ...0012 as the same text;
#           XlsxWriter keeps 16 digits of 17; openpyxl writes all of them. python-calamine reads what openpyxl wrote of 17
#           digits as a float, and so two of them as one.
# Output:   pyexcelerate  2026030500000011 -> 2.02603050000001e+15   2026030500000012 -> 2.02603050000001e+15
#           xlsxwriter    20260305000000111 -> 2.026030500000011e+16
#           openpyxl      20260305000000111 -> 20260305000000111
#           calamine      20260305000000111 -> 2.026030500000011e+16
# Way out:  write such numbers as text; read the sheet's own XML text, and refuse a number whose digits do not suffice.
#
# Fails when a writer or reader behaves otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyexcelerate==0.13.0 XlsxWriter==3.3.1 openpyxl==3.1.5 python-calamine==0.9.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import re
import zipfile

import openpyxl
import python_calamine
import xlsxwriter
from pyexcelerate import Workbook

SIXTEEN, SEVENTEEN = (2026030500000011, 2026030500000012), (20260305000000111, 20260305000000112)


def texts(path):
    """What stands in the cells of the first sheet."""
    with zipfile.ZipFile(path) as workbook:
        return re.findall(r"<v>([^<]*)</v>", workbook.read("xl/worksheets/sheet1.xml").decode())


def by_pyexcelerate(numbers):
    workbook = Workbook()
    workbook.new_sheet("orders", data=[[number] for number in numbers])
    workbook.save("a.xlsx")
    return texts("a.xlsx")


def by_xlsxwriter(numbers):
    with xlsxwriter.Workbook("b.xlsx") as workbook:
        sheet = workbook.add_worksheet()
        for row, number in enumerate(numbers):
            sheet.write_number(row, 0, number)
    return texts("b.xlsx")


def by_openpyxl(numbers):
    workbook = openpyxl.Workbook()
    for number in numbers:
        workbook.active.append([number])
    workbook.save("c.xlsx")
    return texts("c.xlsx")


def read_by_calamine():
    return [row[0] for row in python_calamine.CalamineWorkbook.from_path("c.xlsx").get_sheet_by_index(0).to_python()]


written = {
    "pyexcelerate": (SIXTEEN, by_pyexcelerate(SIXTEEN)),
    "xlsxwriter": (SEVENTEEN, by_xlsxwriter(SEVENTEEN)),
    "openpyxl": (SEVENTEEN, by_openpyxl(SEVENTEEN)),
}
read = read_by_calamine()
for name, (numbers, found) in written.items():
    print(f"{name:<13}", "   ".join(f"{number} -> {text}" for number, text in zip(numbers, found, strict=True)))
print(f"{'calamine':<13}", "   ".join(f"{number} -> {value!r}" for number, value in zip(SEVENTEEN, read, strict=True)))
for name, (_, found) in written.items():
    assert len(set(found)) == 1, f"{name} tells such integers apart now"
assert len(set(read)) == 1 and isinstance(read[0], float), "calamine reads another type now"
PYTHON
