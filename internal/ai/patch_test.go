package ai_test

import (
	"strings"
	"testing"
)

func TestReviewKeepsPatchesThatFit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		patch string
		want  bool
	}{
		"as asked for":        {mend, true},
		"as git writes it":    {"diff --git a/run.py b/run.py\nindex 1..2 100644\n" + mend, true},
		"without a/ and b/":   {strings.NewReplacer("a/run", "run", "b/run", "run").Replace(mend), true},
		"lines end with CR":   {strings.ReplaceAll(mend, "\n", "\r\n"), true},
		"wrong line number":   {strings.ReplaceAll(mend, "-3,2 +3,2", "-30,2 +30,2"), true},
		"two hunks":           {strings.Replace(mend, "@@ -3", "@@ -1 +1,2 @@\n import os\n+import subprocess\n@@ -3", 1), true},
		"prose":               {"Replace os.system by subprocess.run.", false},
		"fenced":              {"```diff\n" + mend + "```", false},
		"wrong count":         {strings.ReplaceAll(mend, "-3,2", "-3,3"), false},
		"other lines":         {strings.ReplaceAll(mend, "def run", "def start"), false},
		"hunks in disorder":   {mend + "@@ -1 +1,2 @@\n import os\n+import subprocess\n", false},
		"another file":        {strings.ReplaceAll(mend, "run.py", "other.py"), false},
		"a second file":       {mend + strings.ReplaceAll(mend, "run.py", "other.py"), false},
		"out of the checkout": {strings.ReplaceAll(mend, "b/run.py", "../run.py"), false},
		"a new name":          {"diff --git a/run.py b/x.py\nrename from run.py\nrename to x.py\n" + mend, false},
		"deletes the file":    {strings.ReplaceAll(mend, "b/run.py", "/dev/null"), false},
		"text after it":       {mend + "-- \n2.39.0\n", false},
		"nothing":             {"", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client(t, says(as("patch", test.patch))).Review(t.Context(), caseOf(source))
			if err != nil || got.Verdict != "true_positive" || (got.Patch != "") != test.want {
				t.Errorf("kept %t: %+v, %v, want %t", got.Patch != "", got, err, test.want)
			}
		})
	}
}
