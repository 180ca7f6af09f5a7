// SPDX-License-Identifier: MIT
#include "gradus/data/places.hpp"

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;

TEST_CASE("a file of a data set is found where get_data.sh puts it") {
    const TemporaryFolder own, cache;
    const Environment root("GRADUS_DATA", own.path().c_str()), xdg("XDG_CACHE_HOME", cache.path().c_str());
    CHECK_THROWS_MATCHES(
        data::find_file("cars", "cars.csv"), IoError,
        Message("find_file: " + own.path() + "/cars/cars.csv does not exist, " + cache.path() +
                "/gradus/cars/cars.csv does not exist; run examples/get_data.sh cars, or pass the "
                "path of the file"));
    const std::string second = cache.write("gradus/cars/cars.csv", "a\n");
    CHECK(data::find_file("cars", "cars.csv") == second);
    const std::string first = own.write("cars/cars.csv", "a\n");
    CHECK(data::find_file("cars", "cars.csv") == first);
}
