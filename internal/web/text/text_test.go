package text_test

import (
	"fmt"

	"github.com/scanhook/scanhook/internal/web/text"
)

// A character that reverses the direction of text could make a file look harmless.
func ExampleVisible() {
	fmt.Println(text.Visible("photo\u202egpj.exe"))
	// Output: photo[U+202E]gpj.exe
}

func ExampleCut() {
	fmt.Println(text.Cut("A long sentence", 6))
	// Output: A long… (cut)
}

// A share below one is never rounded up to certainty.
func ExamplePercent() {
	for _, share := range []float64{0.0042, 0.071, 0.5, 0.9997, 1} {
		fmt.Println(text.Percent(share))
	}
	// Output:
	// 0.42 %
	// 7.1 %
	// 50 %
	// 99.9 %
	// 100 %
}

func ExampleWebLink() {
	fmt.Printf("%q %q\n", text.WebLink("https://example.com/rule"), text.WebLink("javascript:alert(1)"))
	// Output: "https://example.com/rule" ""
}
