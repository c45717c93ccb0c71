package example.tasks;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** A to-do list for each user; see README.md for the settings. */
@SpringBootApplication
public class TaskApi {

    public static void main(String[] arguments) {
        SpringApplication.run(TaskApi.class, arguments);
    }
}
