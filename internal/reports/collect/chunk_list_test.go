package collect_test

import (
	"slices"
	"testing"

	"github.com/scanhook/scanhook/internal/reports/collect"
)

func TestChunkListKeepsValuesInPlace(t *testing.T) {
	t.Parallel()
	var list collect.ChunkList[int]
	var places []*int
	for i := range 5000 {
		places = append(places, list.Add(i))
	}
	for i, place := range places {
		*place += 10_000
		if *place != 10_000+i {
			t.Fatalf("value %d has moved: %d", i, *place)
		}
	}
	all := list.Slice()
	if len(all) != 5000 || !slices.IsSorted(all) || all[0] != 10_000 {
		t.Errorf("%d values, from %d", len(all), all[0])
	}
	if again := list.Slice(); again != nil {
		t.Errorf("%d values are left", len(again))
	}
}

func TestChunkListDrain(t *testing.T) {
	t.Parallel()
	var list collect.ChunkList[int]
	for i := range 100 {
		list.Add(i)
	}
	var seen []int
	list.Drain(func(value *int) { seen = append(seen, *value) })
	if len(seen) != 100 || !slices.IsSorted(seen) || list.Slice() != nil {
		t.Errorf("seen %v", seen)
	}
}
